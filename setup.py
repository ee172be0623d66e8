"""Packaging: everything `pip install .` needs, with the configs shipped inside the package."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of a requirements file that name packages."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    stripped = (line.split("#")[0].strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("-")]


def version() -> str:
    """The version, without importing the package and what it depends on."""
    scope: dict = {}
    exec((ROOT / "ovseg" / "version.py").read_text(encoding="utf-8"), scope)
    return scope["__version__"]


def config_packages() -> list[str]:
    """Folders below configs/, as packages that hold only data: `ovseg.configs...`."""
    folders = sorted({path.parent for path in (ROOT / "configs").rglob("*") if path.is_file()})
    names = (".".join(folder.relative_to(ROOT).parts) for folder in folders)
    return ["ovseg.configs", *(f"ovseg.{name}" for name in names if name != "configs")]


CONFIGS = config_packages()
OPTIONAL = {name: requirements(name) for name in ("tests", "demo", "training", "optional")}

setup(
    name="ovseg",
    version=version(),
    description="Open-vocabulary segmentation on MMEngine: an image and some words in, a mask out",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The ovseg authors",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=[*find_packages(include=["ovseg", "ovseg.*"]), *CONFIGS],
    package_dir={name: name.removeprefix("ovseg.").replace(".", "/") for name in CONFIGS},
    package_data={
        "ovseg": ["py.typed"],
        "ovseg.assets": ["**/*"],
        "ovseg.text": ["names/*"],
        **{name: ["*.py", "*.yml", "*.md"] for name in CONFIGS},
    },
    install_requires=requirements("runtime"),
    extras_require={**OPTIONAL, "all": sorted({r for rs in OPTIONAL.values() for r in rs})},
    zip_safe=False,
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
