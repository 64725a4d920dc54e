"""Looks of the page, in light and in dark; the page loads nothing from elsewhere."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f6f7f9; --ink: #22262b; --quiet: #5b6470; --line: #d9dde3;
  --best: #c2500b; --pale: #9aa1aa; --grid: #e3e6ea; --warn: #fff4d6;
  --c0: #4477aa; --c1: #d9485a; --c2: #228833; --c3: #aa3377; --c4: #2f9fc0; --c5: #9a8a1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --card: #1e2228; --ink: #e8eaed; --quiet: #a4acb6; --line: #353b44;
    --best: #ff9347; --pale: #7a828c; --grid: #2c3138; --warn: #3d3210;
    --c0: #7fb0e0; --c1: #ff8a97; --c2: #63c777; --c3: #e07fb8; --c4: #7ad3ee; --c5: #d9c95a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1320px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 2.5rem; line-height: 1.15; margin: 0 0 8px; }
h2 { font-size: 1.3rem; margin: 40px 0 12px; }
.answer { border-left: 6px solid var(--best); background: var(--card); padding: 20px 24px;
  border-radius: 4px; }
.answer p { font-size: 1.2rem; margin: 8px 0 0; max-width: 62em; }
.answer .quiet { font-size: 1rem; }
.quiet, figcaption, caption { color: var(--quiet); }
.warning { background: var(--warn); border-radius: 4px; padding: 12px 16px; margin: 16px 0 0; }
.others { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 12px;
  margin: 20px 0 0; padding: 0; list-style: none; }
.others li { background: var(--card); border-radius: 4px; padding: 12px 16px; }
.others b { display: block; font-size: 1.5rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(500px, 100%), 1fr));
  gap: 28px 24px; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; fill: var(--ink); }
figcaption { font-size: 0.95rem; margin-top: 4px; }
figcaption b { color: var(--ink); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8rem; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
caption { text-align: left; padding-bottom: 6px; }
th, td { padding: 4px 6px; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
tr.best td { background: var(--card); font-weight: 700; }
tr.best td:first-child { color: var(--best); }
details { margin: 12px 0; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 8px; }
  h1 { font-size: 2rem; } }
"""
