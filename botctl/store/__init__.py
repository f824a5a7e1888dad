"""All that botctl knows between two runs: one database."""

from botctl._fast_imports import import_peewee_without_drivers

import_peewee_without_drivers()
