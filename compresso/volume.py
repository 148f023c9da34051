"""For the day of the move only: the old names of arrays and parallel."""

from compresso.arrays import LIMIT as LIMIT
from compresso.arrays import as_volume as as_volume
from compresso.arrays import block as block
from compresso.arrays import check_fits as check_fits
from compresso.arrays import check_shape as check_shape
from compresso.arrays import frozen as frozen
from compresso.parallel import parallel as parallel
from compresso.parallel import ranges as ranges
from compresso.parallel import slab_depth as slab_depth
