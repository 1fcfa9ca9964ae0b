"""The first stage: `inventory/` as people edit it, read and found sound, then who gets what.

`load` takes the files of a commit or of a folder (`read_folder`) and returns the model, or every fault at once.
"""

from sslops.inventory.files import read_folder
from sslops.inventory.loading import load

__all__ = ["load", "read_folder"]
