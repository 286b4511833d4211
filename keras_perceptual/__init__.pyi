from .errors import PerceptualError as PerceptualError
from .inference.stylizer import Stylizer as Stylizer
from .inference.upscaler import Upscaler as Upscaler

__version__: str
