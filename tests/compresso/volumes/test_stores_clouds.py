"""What a cloud answers is told in one line; the clouds are a server here."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso.errors import FileError
from compresso.volumes import _client

ANSWERS = [
    (401, "private, or asks for a login ("),
    (403, "private, or asks for a login ("),
    (500, "cannot be read: its server fails ("),
    (503, "cannot be read: its server fails ("),
]


class Cloud(BaseHTTPRequestHandler):
    """Answers with the status that the bucket's name ends with, ``bucket-403``."""

    def do_GET(self):
        self.send_error(int(self.path.partition("bucket-")[2][:3]))

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cloud():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def bucket(cloud, status):
    place = {"driver": "s3", "bucket": f"bucket-{status}", "path": "seg/"}
    return place | {"endpoint": cloud, "aws_region": "us-east-1"}


@pytest.mark.parametrize(("status", "reason"), ANSWERS)
def test_s3(cloud, monkeypatch, status, reason):
    monkeypatch.setitem(_client.RETRIES, "initial_delay", "1ms")
    with pytest.raises(FileError) as caught:
        _client.Client.make("s3://x").document(bucket(cloud, status), "info")
    line = str(caught.value)
    assert line.startswith(f"s3://x: {reason}")
    assert line.endswith(f"[HTTP code {status}])")
    assert "\n" not in line


def test_what_s3_does_not_have(cloud):
    assert _client.Client.make("s3://x").document(bucket(cloud, 404), "info") is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "absent, or not a store"), *ANSWERS[1:3], (0, "cannot be reached (")],
)
def test_gs(cloud, tmp_path, status, reason):
    program = "import sys; from compresso.__main__ import main; main(sys.argv[1:])"
    text = f"precomputed://gs://bucket-{status}/seg"
    address = cloud if status else "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-c", program, "compress", text, str(tmp_path / "x.cps")],
        env=os.environ | {"TENSORSTORE_GCS_HTTP_URL": address},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {text}: {reason}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
