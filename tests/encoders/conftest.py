"""A server on the loopback, and miniature CLIP models."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    """Serves ``server.files`` with Range, and misbehaves as ``server`` says."""

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body):
        server = self.server
        asked = self.headers.get("Range")
        if body:
            server.asked.append((self.path, asked))
        if server.statuses and body:
            return self._status(server.statuses.pop(0))
        content = server.files.get(self.path)
        if content is None:
            return self._status(404)
        start = 0
        if asked and not server.ignore_range:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self._status(416, {"Content-Range": f"bytes */{len(content)}"})
        self.send_response(206 if start else 200)
        digest = server.digests.get(self.path, hashlib.sha256(content).hexdigest())
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            stop = start + server.cuts.pop(0) if server.cuts else len(content)
            self.wfile.write(content[start:stop])
            self.close_connection = True

    def _status(self, code, headers=None):
        self.send_response(code)
        if code == 404 and "/resolve/" in self.path:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    """Server with ``files``, ``cuts``, ``statuses``, ``ignore_range``, and ``asked`` (a log)."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    httpd.files, httpd.digests = {}, {}
    httpd.cuts, httpd.statuses, httpd.asked = [], [], []
    httpd.ignore_range = False
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def closed_port(server):
    """Address nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def hub_at(monkeypatch):
    """Point the hub's client to another address."""
    from huggingface_hub import constants

    def point(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )

    return point


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    """Keep the caches of the person who runs the tests out of them."""
    from huggingface_hub import constants

    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path / "ovseg"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


_TEXT = dict(context_length=16, vocab_size=49408, width=32, heads=2, layers=2)
_VISION = {
    "vit": dict(image_size=64, layers=3, width=64, head_width=16, patch_size=16),
    "vit-layerscale": dict(
        image_size=64, layers=2, width=64, head_width=16, patch_size=16, ls_init_value=0.1
    ),
    "vit-qknorm": dict(
        image_size=64,
        layers=2,
        width=64,
        head_width=16,
        patch_size=16,
        qk_norm=True,
        scale_heads=True,
        scale_attn_inner=True,
        scale_attn=True,
    ),
    "vit-avg": dict(
        image_size=64,
        layers=2,
        width=64,
        head_width=16,
        patch_size=16,
        pool_type="avg",
        final_ln_after_pool=True,
        no_ln_pre=True,
    ),
    "convnext": dict(
        timm_model_name="test_convnext", timm_pool="", timm_proj="linear", image_size=64
    ),
    "convnext-mlp": dict(
        timm_model_name="test_convnext", timm_pool="", timm_proj="mlp", image_size=64
    ),
    "resnet": dict(layers=[1, 1, 1, 1], width=16, head_width=32, image_size=64, patch_size=None),
}


@pytest.fixture
def tiny_config():
    """``tiny_config(kind)``: description of a miniature CLIP with that image tower."""
    import copy

    def describe(kind="vit", **more):
        config = dict(embed_dim=32, vision_cfg=_VISION[kind], text_cfg=_TEXT, **more)
        return copy.deepcopy(config)

    return describe


@pytest.fixture
def tiny_clip(tmp_path, tiny_config):
    """``tiny_clip(kind)``: (description, open_clip's own model of it, its checkpoint file)."""
    import open_clip

    def make(kind="vit", **more):
        config = tiny_config(kind, **more)
        torch.manual_seed(0)
        model = open_clip.CLIP(**config).eval()
        with torch.no_grad():
            for parameter in model.parameters():  # no zeros, no ones: each must matter
                parameter.add_(torch.randn_like(parameter) * 0.05)
        path = tmp_path / f"{kind}.safetensors"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
        return config, model, path

    return make


@pytest.fixture(autouse=True)
def seeded():
    """The same random images in every run, whatever the order of tests."""
    torch.manual_seed(0)


@pytest.fixture
def widen():
    """Draw a model's parameters wide.

    As models start out, attention is flat and layer scale near 0, so that wrong positions, keys
    or scales would pass unseen.
    """

    def draw(model, seed=0, std=0.3):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                wide = torch.randn(parameter.shape, generator=generator) * std
                parameter.copy_(wide if parameter.ndim > 1 else 1 + wide)
        return model

    return draw
