"""Kaggle itself: credentials, downloads, submissions, scores. The only room that imports `kaggle`.

    has_credentials()                       without the network
    download("digit-recognizer", folder)    the bundle, whole or not at all
    Kaggle()                                submissions, limits, upload, create
    Kernels()                               the same, and kernels: push, status, log, outputs

The official client makes the requests. A guard at its HTTP adapter gives it time-outs, sends credentials to Kaggle's
host and nowhere else, checks every answer, and keeps error pages out of half files.
"""

from kit.kaggle_client.bundle import download
from kit.kaggle_client.connection import AnswerLost, Kaggle, Limits, Submission
from kit.kaggle_client.credentials import hand_over_colab_secrets, has_credentials
from kit.kaggle_client.kernels import Kernel, Kernels, Push, Quota
from kit.kaggle_client.retries import RETRIES, Retries

__all__ = [
    "RETRIES",
    "AnswerLost",
    "Kaggle",
    "Kernel",
    "Kernels",
    "Limits",
    "Push",
    "Quota",
    "Retries",
    "Submission",
    "download",
    "hand_over_colab_secrets",
    "has_credentials",
]
