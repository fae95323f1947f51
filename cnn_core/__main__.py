"""`python -m cnn_core` is the command `cnn-core`."""

import sys

from .cli import main

sys.exit(main())
