from .exporter import QUANTIZATIONS as QUANTIZATIONS
from .exporter import Exported as Exported
from .exporter import Exporter as Exporter
from .exporter import save_serving as save_serving
from .exporter import to_tflite as to_tflite
from .onnx import to_onnx as to_onnx
