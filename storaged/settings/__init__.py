"""The operator's settings: flags of ``storaged serve`` override a TOML file, which overrides defaults.

``docs/storaged.toml.example`` lists each key of the file with its range and default.
"""

from storaged.settings.file import default_path, read_file
from storaged.settings.flags import add_flags, read_flags
from storaged.settings.model import (
    COMPATS,
    LOG_LEVELS,
    NOWHERE,
    Backend,
    Compat,
    FileSettings,
    GatewaySettings,
    Grants,
    LogLevel,
    Settings,
    SocketPath,
)

__all__ = [
    "COMPATS",
    "LOG_LEVELS",
    "NOWHERE",
    "Backend",
    "Compat",
    "FileSettings",
    "GatewaySettings",
    "Grants",
    "LogLevel",
    "Settings",
    "SocketPath",
    "add_flags",
    "default_path",
    "read_file",
    "read_flags",
]
