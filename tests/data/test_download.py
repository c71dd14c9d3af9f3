import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from npgan.data.download import RemoteFile, cache_folder, fetch
from npgan.errors import DataError

CONTENT = {"a.gz": b"first" * 1000, "b.gz": b"second" * 700}
FILES = [RemoteFile(name, hashlib.md5(content).hexdigest(), len(content)) for name, content in CONTENT.items()]


class Handler(BaseHTTPRequestHandler):
    def __init__(self, asked, *args):
        self.asked = asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(self.path)
        _, mirror, name = self.path.split("/")
        content = CONTENT[name]
        if mirror == "gone":
            self.send_error(404)
            return
        if mirror == "wrong":
            content = content[::-1]
        if mirror == "short":
            content = content[:-1]
        self.send_response(200)
        if mirror != "endless":
            self.send_header("Content-Length", str(len(content) + (mirror == "cut")))
        self.end_headers()
        try:
            self.wfile.write(content)
            for _ in range(10_000 * (mirror == "endless")):
                self.wfile.write(bytes(2**16))
            self.wfile.flush()
        except OSError:
            self.asked.append("hung up")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NPGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, asked)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def test_once_and_only_once(server, tmp_path):
    base, asked = server
    for _ in range(2):
        folder = fetch("toy", [f"{base}/good/"], FILES)
        assert folder == tmp_path / "cache" / "data" / "toy" == cache_folder("toy")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
        assert asked == ["/good/a.gz", "/good/b.gz"]


@pytest.mark.parametrize("bad", ["gone", "wrong", "short", "cut", "endless"])
def test_the_next_mirror_is_tried(server, bad):
    base, asked = server
    folder = fetch("toy", [f"{base}/{bad}/", f"{base}/good/"], FILES)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert [path for path in asked if path != "hung up"] == [
        f"/{bad}/a.gz", "/good/a.gz", f"/{bad}/b.gz", "/good/b.gz",
    ]  # fmt: skip


@pytest.mark.parametrize("bad", ["gone", "wrong", "short", "cut", "endless"])
def test_no_mirror_left(server, bad):
    base, _ = server
    with pytest.raises(DataError) as caught:
        fetch("toy", [f"{base}/{bad}/"], FILES)
    message = str(caught.value)
    assert "put a.gz, b.gz into a folder" in message
    assert "--data-dir" in message
    assert str(cache_folder("toy")) in message
    assert f"{base}/{bad}/a.gz" in message
    assert ("sends more than the 5000 bytes" in message) == (bad == "endless")
    assert list(cache_folder("toy").iterdir()) == []  # nothing half-finished stays


def test_a_damaged_file_in_the_cache_is_fetched_again(server):
    base, _ = server
    cache_folder("toy").mkdir(parents=True)
    (cache_folder("toy") / "a.gz").write_bytes(b"damaged")
    folder = fetch("toy", [f"{base}/good/"], FILES)
    assert (folder / "a.gz").read_bytes() == CONTENT["a.gz"]


def test_off_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NPGAN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(DataError, match=r"cannot be downloaded\. Without a network, put a\.gz, b\.gz into a folder"):
        fetch("toy", ["http://127.0.0.1:9/"], FILES)  # the discard port: nobody listens


def test_a_cache_that_cannot_be_written(server, tmp_path):
    base, _ = server
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch("toy", [f"{base}/good/"], FILES)
