"""The composition root: which adapter stands behind which port, for one verb on one ops repository.

`carry_out` gives a verb a fresh `Site`; with `--apply` it does so again whenever another run was faster.
"""

from sslops.wiring.entry import Request, carry_out
from sslops.wiring.site import Site

__all__ = ["Request", "Site", "carry_out"]
