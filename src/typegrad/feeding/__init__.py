"""How examples get from where they are kept to an engine: checked, in order, ahead of time."""

from typegrad.feeding.order import Shuffle, check_shuffle, epoch_orders
from typegrad.feeding.rows import Examples
from typegrad.feeding.supply import HeldSupply, Supply

__all__ = ["Examples", "HeldSupply", "Shuffle", "Supply", "check_shuffle", "epoch_orders"]
