"""The web app: the map, the studio, the neighbors, the exports."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("latent-explorer")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0"

# What Dash serves for the map component; it looks for these names in the package that a component comes from.
_js_dist = [
    {"relative_package_path": "bundle/pointcloud.js", "namespace": __name__},
    # Served, but not put into the page: the map starts it as a worker.
    {"relative_package_path": "bundle/worker.js", "namespace": __name__, "dynamic": True},
]
_css_dist = [{"relative_package_path": "pointcloud/pointcloud.css", "namespace": __name__}]
