"""Measure image sizes, rebuild times, and a shutdown under load.

Run this script with `python -m bench.images`.

The script builds the production images from a copy of the repository, and pushes them. Then it changes one line in the
copy, and measures how long it takes to build and push the images again. Finally, it stops a container of
thoughts_api under load. The output is two tables. The script requires a Docker Engine that can build images, and a
registry on localhost:5000.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import requests

from tools import cluster
from tools.local import ROOT

REGISTRY = "localhost:5000"
TAG = "bench"
CLIENTS = 8
LOAD = 3.0  # seconds before SIGTERM
MANAGE = "python thoughts_api/manage.py"
GUNICORN = "exec gunicorn -c python:common.server.gunicorn_conf thoughts_api.wsgi"
START = f"{MANAGE} migrate --verbosity=0 && {MANAGE} load_sample_data && {GUNICORN}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


def layers(registry: str, name: str) -> dict[str, int]:
    """Return the size in bytes of each layer of a pushed image, by digest."""
    request = urllib.request.Request(f"http://{registry}/v2/{name}/manifests/{TAG}", headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        manifest = json.load(answer)
    return {layer["digest"]: layer["size"] for layer in [*manifest["layers"], manifest["config"]]}


def image_rows(registry: str) -> list[str]:
    """Build and push each image, twice.

    Return a row of the first table for each image.
    """
    program = cluster.docker()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "var", "__pycache__"))
        for name, project in cluster.IMAGES.items():
            image = f"{registry}/{name}:{TAG}"
            cluster.build(program, image, project, tree=copy)
            cluster.push_image(program, image)
            before = layers(registry, name)
            with (copy / project / "wsgi.py").open("a") as file:
                file.write(f"\n# {time.time_ns()}\n")
            start = time.monotonic()
            cluster.build(program, image, project, tree=copy)
            built = time.monotonic()
            cluster.push_image(program, image)
            pushed = time.monotonic()
            new = sum(size for digest, size in layers(registry, name).items() if digest not in before)
            inspected = subprocess.run(
                [program, "image", "inspect", "--format={{.Size}}", image], capture_output=True, text=True, check=True
            )
            figures = (
                f"{int(inspected.stdout) / 1e6:7.0f} | {built - start:9.1f} | {pushed - built:6.1f} | {new / 1e3:9.0f}"
            )
            rows.append(f"| {name:<12} | {figures} |")
    return rows


class Client(threading.Thread):
    """A client that sends requests until the server refuses connections.

    If `keep` is true, all requests use one connection. Otherwise, each request opens a new one.
    """

    def __init__(self, url: str, keep: bool) -> None:
        super().__init__()
        self.url = url
        self.keep = keep
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        """Send requests, and count the answered and the dropped ones."""
        session = requests.Session()
        while not self.seen["refused"]:
            if not self.keep:
                session = requests.Session()
            try:
                status = session.get(self.url, timeout=20).status_code
                self.seen["answered" if status == 200 else "dropped"] += 1
            except requests.ConnectionError as error:
                refused = "refused" in str(error)
                self.seen["refused" if refused else "dropped"] += 1
                if not refused:
                    session = requests.Session()


def stop_row(registry: str, keep: bool) -> str:
    """Stop a container under load, and return a row of the second table."""
    program = cluster.docker()

    def docker(*arguments: str) -> str:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    settings = ("TOKENS_JWKS=/x", "DATABASE_URL=sqlite:////tmp/x", "WEB_CONCURRENCY=1", "PORT=18999", "HOST=127.0.0.1")
    threads = f"THREADS={CLIENTS + 1}"  # one more, because thoughts_api keeps one thread free of searches
    options = [f"--env={each}" for each in (*settings, threads)]
    image = f"{registry}/thoughts-api:{TAG}"
    container = docker("run", "--detach", "--network=host", *options, image, "sh", "-c", START)
    try:
        url = "http://127.0.0.1:18999/api/thoughts/?search=tea"
        for _ in range(200):
            try:
                requests.get(url, timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        clients = [Client(url, keep) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(LOAD)
        begin = time.monotonic()
        docker("stop", "--time=30", container)
        took = time.monotonic() - begin
        for client in clients:
            client.join()
        code = docker("inspect", "--format={{.State.ExitCode}}", container)
    finally:
        docker("rm", "--force", container)
    seen = sum((client.seen for client in clients), Counter())
    kind = "persistent" if keep else "new each time"
    return f"| {kind:<17} | {seen['answered']:>8} | {seen['dropped']:>7} | {took:6.1f} | {code:>4} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", default=REGISTRY)
    registry = parser.parse_args().registry
    print("| Image        | size MB | rebuild s | push s | pushed kB |")
    print("| ------------ | ------: | --------: | -----: | --------: |")
    print("\n".join(image_rows(registry)))
    print()
    print("| connections       | answered | dropped | ends s | code |")
    print("| ----------------- | -------: | ------: | -----: | ---: |")
    for keep in (True, False):
        print(stop_row(registry, keep))


if __name__ == "__main__":
    main()
