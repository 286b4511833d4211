from .atomic import atomic_file as atomic_file
from .atomic import atomic_path as atomic_path
from .atomic import folder_above as folder_above
from .atomic import scratch_file as scratch_file
from .memory import available as available
from .memory import resident as resident
from .quiet import quiet_stderr as quiet_stderr
from .quiet import quiet_warnings as quiet_warnings
