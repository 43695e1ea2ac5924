"""Datasets and vaults: what is written, what comes back, and every way it can be refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lextune.apps.cli import data_privacy
from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import DataError, MachineError, UserError
from lextune.core.records import Document, Drop, FieldLabel, Message
from lextune.data.privacy import dataset as module
from lextune.data.privacy import vault as vaults
from lextune.data.privacy.dataset import Options, list_personal, pseudonymise_dataset, restore_dataset, vault_path
from lextune.data.privacy.pseudonyms import Keys, Pseudonyms

Seal = Callable[..., Artifact]
PEOPLE = ("Ximena Castellanos", "Tobias Quill", "Padraig O'Sullivan")


def document(number: int, person: str) -> Document:
    text = f"Acme Widgets, Inc. and {person}, an individual.\n/s/ {person.upper()}\nEmail: p{number}@example.com"
    return Document(
        id=f"{person} {number}",
        name=f"{person} {number}.txt",
        sha256="0" * 64,
        text=text,
        annotator="R. Reviewer",
        turns=(Message(role="system", content=f"You speak for {person}."),),
        rejected=f"I, {person}, refuse.",
        labels={"Parties": FieldLabel(parts=(person,), answer=f"Acme Widgets, Inc.; {person}")},
    )


def only(folder: Path, documents: list[Document], *others: str) -> None:
    write_jsonl(folder / "documents.jsonl", documents)
    for name in others:
        (folder / name).write_bytes(b"1")


def lines(artifact: Artifact) -> list[Any]:
    text = artifact.file("documents.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def source(seal: Seal) -> Artifact:
    def fill(folder: Path) -> None:
        write_jsonl(folder / "documents.jsonl", (document(n, p) for n, p in enumerate(PEOPLE)))
        drops = [
            Drop(what="quote", where="Tobias Quill 1.txt: row 3", reason="not found"),
            Drop(what="a", where="b", reason="c"),
        ]
        write_jsonl(folder / "drops.jsonl", drops)
        (folder / "nulls.json").write_text(json.dumps({"Parties": {"N/A": 2}}, indent=1), encoding="utf-8")

    return seal("documents", fill)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "privacy.key"
    vaults.make_key(path)
    return path


@pytest.mark.parametrize("style", ["placeholder", "realistic"])
def test_a_dataset_comes_back_to_the_byte(source: Artifact, key: Path, tmp_path: Path, style: str) -> None:
    made = pseudonymise_dataset(source, tmp_path / "new", Options(style=style, key=key))  # type: ignore[arg-type]
    written = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "new").iterdir())
    assert not any(word in written for person in PEOPLE for word in (person, person.upper(), person.split()[1]))
    assert "Reviewer" not in written
    assert "example.com" not in written or style == "realistic"
    assert "Acme Widgets, Inc." in written
    secret = vault_path(tmp_path / "new").read_bytes()
    assert b"Castellanos" not in secret
    assert key.read_text().strip() not in written
    summary = made.manifest.summary
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"], summary["changed"]) == (3, 3, 0, 3)
    back = restore_dataset(made, vault_path(tmp_path / "new"), key, tmp_path / "back")
    assert back.hash == source.hash


CALLED = Document(
    id="Smith-services-aaaaaaaa",
    name="Smith services.txt",
    sha256="a" * 64,
    text="John Smith, an individual (the Provider), signs.",
    annotator="jroe",
)
OTHER = Document(id="12-jroe", name="other.txt", sha256="b" * 64, text="Nothing personal.", annotator="jroe")


def spoken_of(folder: Path) -> None:
    write_jsonl(folder / "documents.jsonl", [CALLED, OTHER])
    gone = "not in the text: 'Smith shall pay the fee'"
    drops = [
        Drop(what="quote", where="Smith services.txt, Parties", reason=gone),
        Drop(what="quote", where="Smithson.txt, Parties", reason=gone),
        Drop(what="label", where="jroe.jsonl:3", reason="write to Smith-services-aaaaaaaa@example.com"),
    ]
    write_jsonl(folder / "drops.jsonl", drops)
    (folder / "families.json").write_text(json.dumps([{"kept": CALLED.id, "dropped": [OTHER.id]}]), encoding="utf-8")


def test_other_files_call_documents_and_people_as_the_documents_do(seal: Seal, key: Path, tmp_path: Path) -> None:
    before = seal("documents", spoken_of)
    made = pseudonymise_dataset(before, tmp_path / "new", Options(key=key))
    rows = lines(made)
    assert rows[0]["name"].endswith("] services.txt")
    smith = rows[0]["name"].removesuffix(" services.txt")
    drops = [json.loads(line) for line in made.file("drops.jsonl").read_text(encoding="utf-8").splitlines()]
    assert drops[0]["where"] == f"{rows[0]['name']}, Parties"
    assert drops[0]["reason"] == f"not in the text: '{smith} shall pay the fee'"
    assert drops[1]["reason"] == "not in the text: 'Smith shall pay the fee'"
    assert drops[2]["where"] == f"{rows[0]['annotator']}.jsonl:3"
    assert drops[2]["reason"] == "write to [EMAIL_1]"
    assert made.json("families.json") == [{"kept": rows[0]["id"], "dropped": [rows[1]["id"]]}]
    assert restore_dataset(made, vault_path(tmp_path / "new"), key, tmp_path / "back").hash == before.hash


def test_other_files_call_masked_documents_as_they_are_called(seal: Seal, tmp_path: Path) -> None:
    made = pseudonymise_dataset(seal("documents", spoken_of), tmp_path / "new", Options(mode="mask"))
    rows = lines(made)
    assert made.json("families.json") == [{"kept": rows[0]["id"], "dropped": [rows[1]["id"]]}]
    first = json.loads(made.file("drops.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["where"] == "[PERSON] services.txt, Parties"
    assert first["reason"] == "not in the text: '[PERSON] shall pay the fee'"


def test_the_folder_one_is_in_can_be_written(
    source: Artifact, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    made = pseudonymise_dataset(source, Path(), Options(key=key))
    assert vault_path(made.path) == tmp_path / "here.vault"
    assert restore_dataset(made, tmp_path / "here.vault", key, tmp_path / "back").hash == source.hash


def test_hashes_come_back_through_the_vault(seal: Seal, key: Path, tmp_path: Path) -> None:
    row = Document(id="1", name="1", sha256="c" * 64, text="Does the SSN 123-45-6789 belong here?")
    before = seal("documents", lambda folder: only(folder, [row]))
    made = pseudonymise_dataset(before, tmp_path / "new", Options(key=key))
    assert lines(made)[0]["sha256"] != row.sha256
    assert restore_dataset(made, vault_path(tmp_path / "new"), key, tmp_path / "back").hash == before.hash


def test_workers_give_what_one_process_gives(
    source: Artifact, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = pseudonymise_dataset(source, tmp_path / "alone", Options(key=key))
    monkeypatch.setattr(module, "FEW", 1)
    monkeypatch.setattr(module, "AHEAD", 0)
    several = pseudonymise_dataset(source, tmp_path / "several", Options(key=key))
    texts = [a.file("documents.jsonl").read_text().replace(a.manifest.config["vault"], "") for a in (alone, several)]
    assert texts[0] == texts[1]


def test_a_worker_that_was_killed_is_told(
    source: Artifact, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: Any, **named: Any) -> Any:
        raise BrokenProcessPool

    monkeypatch.setattr(module, "FEW", 1)
    monkeypatch.setattr(module, "_side_by_side", killed)
    with pytest.raises(MachineError) as caught:
        pseudonymise_dataset(source, tmp_path / "new", Options(key=key))
    assert str(caught.value) == (
        "privacy: a process that looks for personal data was killed\n  -> free memory, and run it again"
    )


def test_an_earlier_vault_keeps_its_people(source: Artifact, seal: Seal, key: Path, tmp_path: Path) -> None:
    first = pseudonymise_dataset(source, tmp_path / "one", Options(key=key))
    other = seal("documents", lambda folder: only(folder, [document(9, PEOPLE[1])]))
    options = Options(key=key, earlier=vault_path(tmp_path / "one"))
    second = pseudonymise_dataset(other, tmp_path / "two", options)
    names = [row["labels"]["Parties"]["parts"] for row in lines(first)]
    assert lines(second)[0]["labels"]["Parties"]["parts"] == names[1]
    for artifact, before in ((first, source), (second, other)):
        back = restore_dataset(artifact, vault_path(tmp_path / "two"), key, tmp_path / f"back-{artifact.path.name}")
        assert back.hash == before.hash


def test_a_refusal_leaves_no_new_key(source: Artifact, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    key = tmp_path / "new.key"
    arguments = [str(source.path), "--out", str(tmp_path / "taken"), "--key", str(key)]
    app = typer.Typer()
    app.command()(data_privacy.pseudonymise)
    refusal = CliRunner().invoke(app, arguments)
    assert "this exists already" in str(refusal.exception)
    assert not key.exists()
    arguments[2] = str(tmp_path / "free")
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, key.exists()) == (0, True)
    assert f"a new key is in {key}" in done.stderr.replace("\n", "")


def test_a_masked_id_is_nobody_elses(seal: Seal, tmp_path: Path) -> None:
    named = document(0, PEOPLE[0])
    plain = Document(id="document-1", name="plain.txt", sha256="0" * 64, text="Nothing personal.")
    made = pseudonymise_dataset(
        seal("documents", lambda folder: only(folder, [named, plain])), tmp_path / "new", Options(mode="mask")
    )
    ids = [row["id"] for row in lines(made)]
    assert ids[1] == "document-1"
    assert len(set(ids)) == 2


def test_a_mask_has_no_way_back_and_unique_ids(source: Artifact, tmp_path: Path) -> None:
    made = pseudonymise_dataset(source, tmp_path / "new", Options(mode="mask"))
    rows = lines(made)
    assert [row["id"] for row in rows] == [f"document-{number}-{source.hash[:8]}" for number in (1, 2, 3)]
    assert "[PERSON]" in rows[0]["text"]
    assert not vault_path(tmp_path / "new").exists()


def refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_every_refusal_of_vaults_and_keys(source: Artifact, key: Path, tmp_path: Path, monkeypatch: Any) -> None:
    made = pseudonymise_dataset(source, tmp_path / "new", Options(key=key))
    vault = vault_path(tmp_path / "new")

    def restore(where: Path = vault, which: Path | None = key, what: Artifact = made) -> Callable[[], Artifact]:
        return lambda: restore_dataset(what, where, which, tmp_path / "back")

    wrong = tmp_path / "wrong.key"
    vaults.make_key(wrong)
    refused(restore(which=wrong), DataError, "the vault was locked with another key")
    raw = vault.read_bytes()
    broken = tmp_path / "broken.vault"
    for damage in (raw[:-1], raw[:-20], raw[: raw.index(b"\n") + 9], raw[:-30] + bytes([raw[-30] ^ 1]) + raw[-29:],
                   raw + raw[raw.index(b"\n") + 1 :], raw.replace(b"placeholder", b"realistic", 1)):  # fmt: skip
        broken.write_bytes(damage)
        refused(restore(where=broken), DataError, "the vault is damaged")
    broken.write_bytes(raw.replace(b"lextune-vault-1", b"lextune-vault-9"))
    refused(restore(where=broken), DataError, "the vault is damaged")
    broken.write_bytes(b"hello")
    refused(restore(where=broken), DataError, "this is no vault")
    refused(restore(where=tmp_path / "none.vault"), DataError, "cannot read the vault (FileNotFoundError)")
    another = pseudonymise_dataset(source, tmp_path / "another", Options(key=key))
    refused(restore(what=another), DataError, "this vault is of another dataset")
    refused(restore(what=source), DataError, "this dataset has documents that were not pseudonymised")
    refused(restore(which=tmp_path / "none.key"), UserError, "no such key file")
    broken.write_text("not a key")
    refused(restore(which=broken), UserError, "this is no key")
    refused(restore(which=tmp_path), UserError, "cannot read the key (IsADirectoryError)")
    monkeypatch.delenv(vaults.KEY_VARIABLE, raising=False)
    refused(restore(which=None), UserError, "no key")
    assert not (tmp_path / "back").exists()
    monkeypatch.setenv(vaults.KEY_VARIABLE, key.read_text())
    assert restore(which=None)().hash == source.hash


def test_every_refusal_of_pseudonymising(source: Artifact, seal: Seal, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    made = pseudonymise_dataset(source, out, Options(key=key))
    again = tmp_path / "again"
    refused(lambda: pseudonymise_dataset(made, again, Options(key=key)), DataError, "pseudonymised already")
    assert not again.exists()
    assert not vault_path(again).exists()
    refused(lambda: pseudonymise_dataset(source, out, Options(key=key)), UserError, "this vault exists already")
    inside = Options(key=again / "privacy.key")
    refused(lambda: pseudonymise_dataset(source, again, inside), UserError, "the key must not lie in the dataset")
    here = Options(key=Path("privacy.key"))
    refused(lambda: pseudonymise_dataset(source, Path(), here), UserError, "the key must not lie in the dataset")
    odd = seal("documents", lambda f: only(f, [], "a.bin"))
    refused(lambda: pseudonymise_dataset(odd, again, Options(key=key)), DataError, "no way to search a.bin")
    refused(lambda: vaults.make_key(key), UserError, "this key exists already")
    check = module.check_options
    refused(lambda: check("hide", "placeholder", (), None, None), UserError, "no mode 'hide'")
    refused(lambda: check("mask", "funny", (), None, None), UserError, "no style 'funny'")
    refused(lambda: check("mask", "placeholder", (), key, None), UserError, "a mask has no key and no vault")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, key: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    vault = vaults.Vault(("a",), Pseudonyms())
    path = tmp_path / "v"
    refused(
        lambda: vaults.write_vault(path, vault, vaults.load_key(key)),
        MachineError,
        "vaults need the package cryptography",
    )


def test_a_vault_of_many_frames_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "_FRAME", 100)
    pseudonyms, key = Pseudonyms(), bytes(32)
    for number in range(50):
        pseudonyms.name("email", Keys(f"é{number}", f"é{number}", True), f"É{number}@example.com")
    vaults.write_vault(tmp_path / "v", vaults.Vault(("a",), pseudonyms), key)
    assert (tmp_path / "v").stat().st_mode & 0o077 == 0
    assert list(vaults.read_vault(tmp_path / "v", key).pseudonyms.rows()) == list(pseudonyms.rows())


def test_a_key_is_32_bytes_that_only_its_owner_reads(key: Path) -> None:
    assert key.stat().st_mode & 0o077 == 0
    assert len(base64.urlsafe_b64decode(key.read_text())) == len(vaults.load_key(key)) == 32


def test_the_list_shows_no_value_whole() -> None:
    found = list_personal(document(n, p) for n, p in enumerate(PEOPLE))
    assert found.documents == 3
    assert found.counts["email"] == 3
    assert found.documents_with["person"] == 3
    shown = json.dumps(found.as_json())
    assert "Castellanos" not in shown
    assert "p1@*******.***" in shown


def test_the_commands(source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    for function in (data_privacy.personal, data_privacy.pseudonymise, data_privacy.restore):
        app.command()(function)
    key, out = str(tmp_path / "k" / "privacy.key"), tmp_path / "new"

    def run(*args: str) -> str:
        result = CliRunner().invoke(app, list(args), catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    assert "person" in run("personal", str(source.path))
    made = json.loads(run("pseudonymise", str(source.path), "--out", str(out), "--key", key, "--json"))
    assert made["found"]["email"] == 3
    assert made["vault"] == str(vault_path(out))
    args = ("--vault", made["vault"], "--key", key, "--out")
    assert json.loads(run("restore", str(out), *args, str(tmp_path / "back"), "--json"))["hash"] == source.hash
    assert "3 documents restored" in run("restore", str(out), *args, str(tmp_path / "back2"))
    assert "3 changed" in run("pseudonymise", str(source.path), "--out", str(tmp_path / "m"), "--mode", "mask")
    assert "the way back is in" in run("pseudonymise", str(source.path), "--out", str(tmp_path / "p"), "--key", key)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    made = json.loads(run("pseudonymise", str(source.path), "--out", ".", "--key", key, "--json"))
    assert made["vault"] == str(tmp_path / "here.vault")
    letter = tmp_path / "letter.txt"
    letter.write_text("/s/ Ximena Castellanos, x@example.com", encoding="utf-8")
    listed = json.loads(run("personal", str(letter), "--kinds", "person,email", "--json"))
    assert listed["counts"] == {"person": 1, "email": 1}
