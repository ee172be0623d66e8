from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings

import pytest
import torch
from torch.nn import functional as F

from ovseg.errors import OvsegError, VocabularyError
from ovseg.text import TextClassifier, TextEncoder, Vocabulary
from ovseg.text import classifier as module


class FakeEncoder:
    """Embeds a sentence by its hash, and remembers what it was asked."""

    context_length = 20

    def __init__(self, fingerprint: str = "fake/1", dtype: torch.dtype = torch.float32) -> None:
        self.fingerprint = fingerprint
        self.dtype = dtype
        self.batches: list[list[str]] = []
        self.counted = 0

    @property
    def read(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def encode(self, texts: list[str]) -> torch.Tensor:
        self.batches.append(list(texts))
        return torch.stack([self.embed(text) for text in texts]).to(self.dtype)

    def embed(self, text: str) -> torch.Tensor:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")
        return 3 * torch.randn(8, generator=torch.Generator().manual_seed(seed))

    def token_counts(self, texts: list[str]) -> list[int]:
        self.counted += len(texts)
        return [len(text.split()) + 2 for text in texts]


PETS = Vocabulary.load(["cat; kitten", "dog"])
TEMPLATES = ["a {}.", "the big {}", "{}"]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "text"


def test_fake_is_an_encoder():
    assert isinstance(FakeEncoder(), TextEncoder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("chunk_size", [1, 2, 5, 1000])
def test_templates_are_averaged_as_in_the_formula(dtype, chunk_size):
    encoder = FakeEncoder(dtype=dtype)
    result = TextClassifier(encoder, TEMPLATES, chunk_size=chunk_size)(PETS)
    expected = []
    for word in ("cat", "kitten", "dog"):
        sentences = [f"a {word}.", f"the big {word}", word]
        rows = torch.stack([encoder.embed(text) for text in sentences]).to(dtype).float()
        mean = F.normalize(rows, dim=1).mean(0)
        expected.append(mean / mean.norm())
    assert result.dtype == torch.float32
    assert result.shape == (3, 8)
    torch.testing.assert_close(result, torch.stack(expected))
    torch.testing.assert_close(result.norm(dim=1), torch.ones(3))
    assert max(len(batch) for batch in encoder.batches) <= chunk_size
    assert len(encoder.read) == 9


def test_repeated_queries_are_read_once_and_given_each():
    encoder = FakeEncoder()
    repeated = Vocabulary(("a", "b"), (("cat", "dog", "cat"), ("dog", "cow")))
    result = TextClassifier(encoder, "none")(repeated)
    assert sorted(encoder.read) == ["cat", "cow", "dog"]
    assert torch.equal(result[0], result[2])
    assert torch.equal(result[1], result[3])
    again = TextClassifier(encoder, "none")(repeated)
    assert torch.equal(result, again)


def test_the_second_start_touches_neither_tower_nor_tokenizer(cache_folder):
    first = TextClassifier(FakeEncoder(), TEMPLATES)(PETS)
    assert len(list(cache_folder.iterdir())) == 1

    class Untouchable:
        context_length = 20
        fingerprint = "fake/1"

        def encode(self, texts):
            raise AssertionError("the tower was used")

        def token_counts(self, texts):
            raise AssertionError("the tokenizer was used")

    second = TextClassifier(Untouchable(), TEMPLATES)(PETS)
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("fingerprint", "templates", "names"),
    [
        ("fake/2", TEMPLATES, ["cat; kitten", "dog"]),
        ("fake/1", TEMPLATES[:2], ["cat; kitten", "dog"]),
        ("fake/1", TEMPLATES[::-1], ["cat; kitten", "dog"]),
        ("fake/1", TEMPLATES, ["cat; kitten", "cow"]),
        ("fake/1", TEMPLATES, ["dog", "cat; kitten"]),
        ("fake/1", TEMPLATES, ["cat", "dog"]),
    ],
)
def test_another_encoder_template_or_name_is_another_entry(fingerprint, templates, names):
    TextClassifier(FakeEncoder(), TEMPLATES)(PETS)
    encoder = FakeEncoder(fingerprint)
    vocabulary = Vocabulary.load(names)
    result = TextClassifier(encoder, templates)(vocabulary)
    assert encoder.batches
    plain = TextClassifier(FakeEncoder(fingerprint), templates, cache=False)(vocabulary)
    assert torch.equal(result, plain)


def test_grouping_the_same_words_into_other_classes_needs_no_reading():
    TextClassifier(FakeEncoder(), TEMPLATES)(PETS)
    encoder = FakeEncoder()
    TextClassifier(encoder, TEMPLATES)(Vocabulary.load(["cat", "kitten; dog"]))
    assert not encoder.batches


@pytest.mark.parametrize(
    ("fingerprint", "options"),
    [("random", {}), ("ViT-B-16/Random:1", {}), ("fake/1", {"cache": False})],
)
def test_not_cached(cache_folder, fingerprint, options):
    for _ in range(2):
        encoder = FakeEncoder(fingerprint)
        TextClassifier(encoder, TEMPLATES, **options)(PETS)
        assert len(encoder.read) == 9
    assert not cache_folder.exists()


def test_own_cache_folder(tmp_path, cache_folder):
    TextClassifier(FakeEncoder(), TEMPLATES, cache_dir=tmp_path / "mine")(PETS)
    assert len(list((tmp_path / "mine").iterdir())) == 1
    assert not cache_folder.exists()


def test_a_damaged_cache_is_rebuilt(cache_folder):
    first = TextClassifier(FakeEncoder(), TEMPLATES)(PETS)
    (file,) = cache_folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    encoder = FakeEncoder()
    assert torch.equal(TextClassifier(encoder, TEMPLATES)(PETS), first)
    assert len(encoder.read) == 9
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_only_warns(tmp_path):
    (tmp_path / "file").write_text("in the way")
    classifier = TextClassifier(FakeEncoder(), TEMPLATES, cache_dir=tmp_path / "file")
    with pytest.warns(UserWarning, match="could not be cached"):
        assert classifier(PETS).shape == (3, 8)


LONG = " ".join(["very"] * 16) + " long name"  # 18 words, so 20 tokens on their own


@pytest.mark.parametrize(
    ("templates", "names", "message"),
    [
        (["a {}"], ["cat", LONG], "class 'very .*21 tokens.* reads 20 at most"),
        (["{}", "a big {}"], ["cat", LONG], "22 tokens"),
        (["a {}"], [f"cat; {LONG}"], "class 'cat', asked for as 'very .* 21 tokens"),
    ],
)
def test_too_long_names_are_refused_before_any_is_read(templates, names, message):
    encoder = FakeEncoder()
    with pytest.raises(VocabularyError, match=message) as caught:
        TextClassifier(encoder, templates)(Vocabulary.load(names))
    assert not encoder.batches
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_name_that_just_fits_is_read():
    result = TextClassifier(FakeEncoder(), "none")(Vocabulary.load([LONG]))
    assert result.shape == (1, 8)


def test_a_row_of_zeros_stays_finite():
    class Zero(FakeEncoder):
        def embed(self, text):
            return torch.zeros(8) if "cat" in text else super().embed(text)

    result = TextClassifier(Zero(), TEMPLATES)(PETS)
    assert torch.equal(result[0], torch.zeros(8))
    assert torch.isfinite(result).all()


def test_numbers_that_are_not_finite_are_refused_and_not_cached(cache_folder):
    class Broken(FakeEncoder):
        def embed(self, text):
            return torch.full((8,), float("nan"))

    with pytest.raises(OvsegError, match="numbers that are not finite"):
        TextClassifier(Broken(), TEMPLATES)(PETS)
    assert not cache_folder.exists()


@pytest.mark.parametrize(("count", "shows"), [(3, False), (700, True)])
def test_progress_is_shown_when_long(capsys, count, shows):
    names = Vocabulary.load([f"name {i}" for i in range(count)])
    TextClassifier(FakeEncoder(), TEMPLATES)(names)
    assert ("reading class names" in capsys.readouterr().err) == shows


def test_ten_thousand_names_in_bounded_chunks():
    encoder = FakeEncoder()
    names = Vocabulary.load([f"name {i}" for i in range(10_000)])
    result = TextClassifier(encoder, "none", chunk_size=512)(names)
    assert result.shape == (10_000, 8)
    assert max(len(batch) for batch in encoder.batches) == 512
    assert encoder.counted <= 10_001


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_chunk_size_is_at_least_one(chunk_size):
    with pytest.raises(ValueError, match="chunk_size"):
        TextClassifier(FakeEncoder(), chunk_size=chunk_size)


def test_no_gradients_are_kept():
    class Learning(FakeEncoder):
        def embed(self, text):
            return super().embed(text).requires_grad_()

    assert not TextClassifier(Learning(), TEMPLATES)(PETS).requires_grad


def test_agrees_with_open_clips_own_classifier_on_a_tiny_tower():
    open_clip = pytest.importorskip("open_clip")
    config = open_clip.model.CLIPTextCfg(width=32, heads=2, layers=1, context_length=32)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tower = open_clip.model._build_text_tower(16, config).eval()
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=32)

    class Tower:
        context_length = 32
        fingerprint = "tiny/test"

        def encode(self, texts):
            return tower(tokenizer(texts))

        def token_counts(self, texts):
            return [len(tokenizer.encode(text)) + 2 for text in texts]

    class Model(torch.nn.Module):
        def encode_text(self, tokens, normalize=False):
            features = tower(tokens)
            return F.normalize(features, dim=-1) if normalize else features

    expected = open_clip.build_zero_shot_classifier(
        Model(),
        tokenizer,
        PETS.queries,
        open_clip.OPENAI_IMAGENET_TEMPLATES,
        num_classes_per_batch=2,
    )
    result = TextClassifier(Tower(), "openai80", chunk_size=33)(PETS)
    torch.testing.assert_close(result, expected.T, atol=1e-5, rtol=1e-4)
    with pytest.raises(VocabularyError, match="tokens, but this text encoder reads 32 at most"):
        TextClassifier(Tower(), "openai80")(Vocabulary.load(["cat " * 30]))


def test_importing_words_stays_light():
    code = "import sys, ovseg.text as t; t.Vocabulary.load('voc-20'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert module.TextClassifier is TextClassifier
