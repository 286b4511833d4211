from .actors import Cluster as Cluster
from .manifest import claim as claim
from .manifest import fingerprint as fingerprint
from .stores import Store as Store
