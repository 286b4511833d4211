from .exporter import Exported as Exported
from .exporter import Exporter as Exporter
from .onnx import to_onnx as to_onnx
from .saved_model import save_serving as save_serving
from .tflite import QUANTIZATIONS as QUANTIZATIONS
from .tflite import to_tflite as to_tflite
