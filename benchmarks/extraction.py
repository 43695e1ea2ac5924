"""Reading contracts beside the usual ways: `python -m benchmarks.extraction [--quick] [--release R] [--point R]`.

Held-out contracts of `recipes/bundled-expert.yaml`, spread over the shorter half, are read by each arm in turn:

- tag: the release, which reads each window that its screen passes once, and decodes nothing;
- tag_one_prompt_per_field: its own weights, engine and precision, asked each field of each window in a prompt of its
  own, window first, with the prefix cache, under a grammar that leaves sentence numbers;
- point: a release of that strategy, all fields in one prompt, and point_one_prompt_per_field likewise. Without --point
  the tag release's weights stand in, which never learnt to answer: what is found means nothing then, and F1 is not
  compared.

On the shortest of them alone, because they take minutes for it:

- one_token_per_field: tag_one_prompt_per_field, stopped after one token, whatever the weights would write: what asking
  each field costs at least;
- transformers_generate: the prompts of tag_one_prompt_per_field by transformers in bf16, with a prefix cache too;
- langextract: LangExtract 1.x, one prompt for each 1,000 characters, against our own OpenAI-compatible endpoint, which
  serves the point weights by the same engine.

`ratio_X_tag` is the seconds of X over those of the tag release on the same contract, the median over contracts;
`_point` likewise. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._command import command, in_turns, say, stages
from lextune.api import Release, load
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document, Message
from lextune.evaluate.twins import Read, paired_f1
from lextune.expert.answering import Expert, Identity
from lextune.expert.cleaned import CleanedExpert
from lextune.expert.edges import EdgeTagger
from lextune.expert.engines.base import Chatter, GenerateOptions, LocalChat
from lextune.expert.engines.openvino_ import GENERATE_GRAPH, OpenVinoGenerator, export_generator
from lextune.expert.engines.quantized import quantize
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.grammar import point_grammar
from lextune.expert.point import SYSTEM, numbered, parse_point
from lextune.expert.readers import UNKNOWN, Passage, PointReader, Reading, WindowReader, close_answer
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.scoring.fields import counts, f1
from lextune.expert.scoring.pairs import scored
from lextune.expert.templates import Codec
from lextune.expert.thresholds import POINTED, Thresholds
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowConfig
from lextune.pipeline import read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "bundled-expert.yaml"
CONTRACTS, QUICK_CONTRACTS = 8, 2
TAG, POINT = "tag", "point"
BY_FIELD = "_one_prompt_per_field"
ONE_TOKEN, GENERATE, LANGEXTRACT = "one_token_per_field", "transformers_generate", "langextract"
QUESTION = (
    "\n\n{name}: {question}\nAnswer with the numbers of the sentences that state it, "
    'like {{"{name}":[2]}}, or {{}} if there is none.'
)
LANGEXTRACT_CHARACTERS = 1000  # LangExtract's own default


class FieldByField:
    """Asks each field of each window in a prompt of its own; a `WindowReader`."""

    def __init__(
        self, chatter: LocalChat, schema: Schema, fields: Sequence[str], most: int = PointReader.MAX_TOKENS
    ) -> None:
        self._chatter, self._schema, self._most = chatter, schema, most
        self._asked = [schema.field(name) for name in fields]

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Ask; the questions of a window follow one another, so that its beginning is read once."""
        asked = [(passage, field) for passage in passages for field in self._asked]
        done = self._chatter.chat(
            [self._messages(*each) for each in asked],
            GenerateOptions(max_tokens=self._most),
            [point_grammar((field.name,), len(passage.texts)) for passage, field in asked],
        )
        answers = iter(done)
        out = []
        for passage in passages:
            confidence = np.zeros((len(passage.texts), len(self._schema.fields)), dtype=np.float32)
            mine = [next(answers) for _ in self._asked]
            for field, answer in zip(self._asked, mine, strict=True):
                text = answer.text if answer.stopped else close_answer(answer.text)
                for row in (parse_point(self._schema, len(passage.texts), text) or {}).get(field.name, ()):
                    confidence[row, self._schema.names.index(field.name)] = UNKNOWN
            out.append(Reading(confidence, sum(a.prompt_tokens for a in mine), sum(a.written for a in mine)))
        return out

    @staticmethod
    def _messages(passage: Passage, field: SchemaField) -> list[Message]:
        asked = numbered(*passage) + QUESTION.format(name=field.name, question=field.question)
        return [Message(role="system", content=SYSTEM), Message(role="user", content=asked)]


def generating(release: Release, folder: Path) -> Path:
    """Return where OpenVINO GenAI finds a release's weights; a tag release is exported to `folder`, in its own bits."""
    if (release.path / GENERATE_GRAPH).is_file():
        return release.path
    if not (folder / GENERATE_GRAPH).is_file():
        export_generator(release.path, folder)
        if release.info.get("quantize"):
            quantize(folder / GENERATE_GRAPH, release.info["quantize"])
    return folder


def expert_of(release: Release, reader: WindowReader, chatter: Chatter, fields: Sequence[str]) -> Expert:
    """Return a release's expert with another reader, by which these fields are answered."""
    return Expert(
        Identity("by-field", release.key, "point"),
        release.schema,
        reader,
        codec=Codec(release.path),
        thresholds=Thresholds(pooled=POINTED, trained_fields=tuple(fields)),
        window=WindowConfig(**release.info["window"]),
        chatter=chatter,
        edge_tagger=EdgeTagger.load(release.path),  # edges and values are found as the release finds them
    )


def contracts(count: int, out: Path) -> list[Document]:
    """Return held-out contracts, spread over the shorter half, the shortest first."""
    recipe = read_recipe(RECIPE)
    made = stages(recipe, out, "split")
    documents = sorted(read_jsonl(made["split"].file("test.jsonl"), Document), key=lambda d: len(d.text))
    places = np.linspace(0, len(documents) // 2 - 1, count).astype(int)
    return [documents[place] for place in places]


@contextmanager
def endpoint(expert: Expert) -> Iterator[str]:
    """Serve an expert on a free port of this machine; yield the address of its OpenAI-compatible routes."""
    import uvicorn

    from lextune.deploy.service import create_app
    from lextune.deploy.settings import ServiceSettings

    server = uvicorn.Server(uvicorn.Config(create_app(expert, ServiceSettings()), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()


def langextract(document: Document, schema: Schema, url: str, model: str) -> dict[str, float]:
    """Let LangExtract read a contract; return its seconds and what it found."""
    import langextract as lx
    from langextract.providers.openai import OpenAILanguageModel

    example = lx.data.ExampleData(
        text="This Agreement is governed by the laws of Ohio.",
        extractions=[lx.data.Extraction("Governing Law", "governed by the laws of Ohio")],
    )
    asked = "\n".join(f"- {field.name}: {field.question}" for field in schema.fields)
    started = time.perf_counter()
    found = lx.extract(
        document.text,
        prompt_description=f"Extract the clauses of these types, word for word:\n{asked}",
        examples=[example],
        model=OpenAILanguageModel(
            model_id=model,
            api_key="none",
            base_url=url,
            temperature=0.0,
            max_output_tokens=256,
            format_type=lx.data.FormatType.YAML,  # in JSON it asks for a response format, which the endpoint refuses
        ),
        max_char_buffer=LANGEXTRACT_CHARACTERS,
        use_schema_constraints=False,
        show_progress=False,
    )
    return {"seconds": time.perf_counter() - started, "extractions": len(found.extractions or [])}


def chats_of(tag: Release, point: Release, folder: Path) -> dict[str, LocalChat]:
    """Return who writes with either release's weights; those that are not exported for it are exported to `folder`."""
    chats = {}
    for name, one in {TAG: tag, POINT: point}.items():
        codec = Codec(one.path)
        chats[name] = LocalChat(OpenVinoGenerator(generating(one, folder), codec, one.info["engine"]), codec)
    return chats


def arms_of(
    tag: Release, point: Release, fields: Sequence[str], chats: dict[str, LocalChat]
) -> dict[str, Expert | CleanedExpert]:
    """Return the arms that read every contract."""
    by_field = {name: FieldByField(chat, tag.schema, fields) for name, chat in chats.items()}
    return {
        TAG: tag.expert,  # type: ignore[dict-item]  # a tag release never writes
        TAG + BY_FIELD: expert_of(tag, by_field[TAG], chats[TAG], fields),
        POINT: expert_of(point, PointReader(chats[POINT], point.schema), chats[POINT], fields),
        POINT + BY_FIELD: expert_of(point, by_field[POINT], chats[POINT], fields),
    }


def read_alone(
    tag: Release, chat: LocalChat, served: Expert, fields: Sequence[str], document: Document
) -> dict[str, dict[str, float]]:
    """Let the slow arms read one contract; `chat` runs the tag release's weights."""
    plain = LocalChat(TransformersEngine(resolve_base(str(tag.path))), Codec(tag.path))
    arms: dict[str, Expert | CleanedExpert] = {
        ONE_TOKEN: expert_of(tag, FieldByField(chat, tag.schema, fields, most=1), chat, fields),
        GENERATE: expert_of(tag, FieldByField(plain, tag.schema, fields), plain, fields),
    }
    _, seconds = in_turns(arms, [document])
    with endpoint(served) as url:
        extracted = langextract(document, tag.schema, url, served.name)
    return {**{name: {"seconds": seconds[name][0]} for name in arms}, LANGEXTRACT: extracted}


def measure(tag: Release, given: Release | None, documents: Sequence[Document]) -> dict[str, Any]:
    """Return what every arm took and found, and the ratios; `given` is the point release, if there is one."""
    point = given or tag
    not_assessed = tag.predict(documents[0]).record.not_assessed
    fields = [name for name in tag.schema.names if name not in not_assessed]
    with tempfile.TemporaryDirectory() as folder:
        chats = chats_of(tag, point, Path(folder))
        arms = arms_of(tag, point, fields, chats)
        answers, seconds = in_turns(arms, documents)
        alone = read_alone(tag, chats[TAG], arms[POINT], fields, documents[0])  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for name, each in answers.items():
        pairs = scored(documents, each, tag.schema).pairs
        sums = counts(pairs, len(documents), len(tag.schema.fields)).sum(axis=(0, 1))
        found[name] = {
            "seconds_a_contract": statistics.mean(seconds[name]),
            "tokens_written_a_contract": statistics.mean(answer.usage.generated_tokens for answer in each),
            "field_f1": float(f1(sums)),
        }
    for arm in (TAG, POINT):
        ratios = [a / b for a, b in zip(seconds[arm + BY_FIELD], seconds[arm], strict=True)]
        found[f"ratio{BY_FIELD}_{arm}"] = statistics.median(ratios)
    for name, each_alone in alone.items():
        found[name] = each_alone
        found[f"ratio_{name}_{TAG}"] = each_alone["seconds"] / seconds[TAG][0]
    ours, usual = (Read(documents, answers[name]) for name in (TAG, POINT + BY_FIELD))
    found["f1_tag_minus_one_prompt_per_field"] = paired_f1(ours, usual, tag.schema).as_json() if given else None
    return found


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, f"{QUICK_CONTRACTS} contracts")
    parser.add_argument("--release", type=Path, help="a tag release; by default this package's expert")
    parser.add_argument("--point", type=Path, help="a point release")
    given = parser.parse_args()
    documents = contracts(QUICK_CONTRACTS if given.quick else CONTRACTS, given.out)
    tag = load(given.release)
    found = measure(tag, load(given.point) if given.point else None, documents)
    for name, value in found.items():
        say(f"{name:<40} {value}")
    print(json.dumps({"benchmark": "extraction", "quick": given.quick, "contracts": len(documents), **found}))


if __name__ == "__main__":
    main()
