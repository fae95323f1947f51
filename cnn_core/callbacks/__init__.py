"""Callbacks: code that runs at certain points of training."""

from .callback import Callback
from .callback_list import CallbackList, pythonify_logs
from .checkpoint import ModelCheckpoint
from .csv_logger import CSVLogger
from .history import History
from .lambda_callback import LambdaCallback
from .learning_rate import LearningRateScheduler, ReduceLROnPlateau
from .monitor import MonitorCallback
from .progress import ProgbarLogger
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "pythonify_logs",
]
