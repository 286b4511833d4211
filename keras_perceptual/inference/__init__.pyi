from .converter import LARGEST_SCALE as LARGEST_SCALE
from .converter import Converter as Converter
from .engines import ENGINES as ENGINES
from .engines import Blend as Blend
from .engines import Engine as Engine
from .engines import open_engine as open_engine
from .stylizer import Stylizer as Stylizer
from .upscaler import Upscaler as Upscaler
