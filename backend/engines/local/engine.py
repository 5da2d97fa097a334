"""The engine `local`: a base model and its adapters in this process, by transformers and PEFT.

It needs no server and no GPU, and uses one where there is one. The base is loaded once; adapters
are switched, not merged, so that the base stays exactly what it was. It knows no database.

Puts an adapter on a transformers model by PEFT, or refuses it and leaves the model as it was.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from backend.engines.adapters.folders import content_digest, read_adapter, shared_base
from backend.engines.base import (
    NOT_FINITE,
    GenerationRequest,
    GenerationResult,
    Message,
    ReadRequest,
    ReadResult,
    SamplingParams,
    ServedModel,
    prompt_too_long,
    reading_too_long,
    request_seed,
    require_finite_logprobs,
)
from backend.engines.local.decoding import DecodedText, Decoding, next_logprobs, write_answers
from backend.engines.local.reading import answer_logprobs
from backend.engines.local.soft_prompt import SoftPrompted, read_soft_prompt
from backend.engines.prompts import (
    PromptRefused,
    decode_prompt,
    encode_answer,
    encode_prompt,
    first_line,
    load_tokenizer,
)
from backend.errors import EngineError, InvalidInput, UnknownAdapter


def fit_adapter(model: Any, path: Path, inner: str, name: str) -> Any:
    """The model with the adapter loaded beside those it has; unchanged if that fails.

    Raises:
        EngineError: the weights are for other layers or other shapes, or the file is cut short.
    """
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError

    fitted = model
    try:
        if not isinstance(model, PeftModel):
            fitted = PeftModel(model, PeftConfig.from_pretrained(str(path)), adapter_name=inner)
        found = fitted.load_adapter(str(path), adapter_name=inner)
        if found.missing_keys or found.unexpected_keys:
            raise ValueError(
                f"{len(found.missing_keys)} of its layers are not in the file and "
                f"{len(found.unexpected_keys)} of the file's are not in the model"
            )
    except (RuntimeError, ValueError, KeyError, OSError, SafetensorError) as error:
        if fitted is not model:
            fitted.unload()
        elif inner in getattr(fitted, "peft_config", {}):
            fitted.delete_adapter(inner)
        raise EngineError(
            f"The adapter {name!r} at {path} does not fit this base model: {first_line(error)}.",
            hint="Was it trained on this base, and is its file whole?",
        ) from error
    return fitted.eval()


_BATCHES_SORTED_TOGETHER = 32
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request whose prompt is encoded and fits."""

    request: GenerationRequest
    token_ids: list[int]
    truncated: int


@dataclass(frozen=True, slots=True)
class _EncodedAnswer:
    """An answer to be read whose prompt is encoded and which fits behind it."""

    request: ReadRequest
    prompt_ids: list[int]
    answer_ids: list[int]
    starts: list[int]


def _reading_order(reading: _EncodedAnswer) -> tuple[str, int, list[int], int]:
    """By like length, equal prompts side by side: a batch reads each of its prompts once."""
    prompt = reading.prompt_ids
    return reading.request.model, len(prompt), prompt, len(reading.answer_ids)


class LocalEngine:
    """Runs the base and its adapters in this process.

    Args:
        batch_size: prompts decoded together.
        threads: CPU threads of torch for the whole process, until the engine is closed; None leaves
            torch's default.
        max_model_len: prompt and answer together; None takes what the base was made for.
    """

    name = "local"
    notes: Sequence[str] = ()

    def __init__(
        self, *, batch_size: int = 16, threads: int | None = None, max_model_len: int | None = None
    ) -> None:
        self._batch_size = batch_size
        self._threads = threads
        self._threads_before: int | None = None
        self._max_model_len = max_model_len
        self._base: ServedModel | None = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._adapters: dict[str, tuple[str, str]] = {}  # serving name -> (digest, PEFT name)
        self._soft_prompts: dict[str, tuple[str, Any]] = {}  # serving name -> (digest, vectors)
        self._bases: set[str] = set()
        self._one_at_a_time = threading.RLock()  # jobs of several threads switch adapters

    def load(self, models: Sequence[ServedModel]) -> None:
        """Load the base, if it is another one than before, and every adapter that is not there.

        Raises:
            InvalidInput: several bases, a pickle in an adapter's folder, a base that is not there.
            EngineError: an adapter whose weights do not fit this base.
        """
        base = shared_base(list(models))
        with self._one_at_a_time:
            if self._base is None or self._base.base_model != base:
                self._load_base(base)
            for model in models:
                if model.adapter_path is None:
                    self._bases.add(model.name)
                else:
                    self._load_adapter(model, model.adapter_path)

    def generate(
        self, requests: Iterable[GenerationRequest], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        """Answer in batches of prompts of like length, yielding each batch when it is done.

        A sampled answer depends on `params.seed` and the request's key, not on the order.
        """
        window = self._batch_size * _BATCHES_SORTED_TOGETHER
        for requests_read in _in_chunks(requests, window):
            prompts: list[_Prompt] = []
            for request in requests_read:
                prepared = self._prepare(request, params)
                if isinstance(prepared, GenerationResult):
                    yield prepared
                else:
                    prompts.append(prepared)
            prompts.sort(key=lambda p: (p.request.model, len(p.token_ids)))
            for model, same_model in groupby(prompts, key=lambda p: p.request.model):
                for batch in _in_chunks(same_model, self._batch_size):
                    yield from self._answer(model, batch, params)

    def read(self, requests: Iterable[ReadRequest]) -> Iterator[ReadResult]:
        """Read in batches of prompts and answers of like length, yielding each when it is done."""
        window = self._batch_size * _BATCHES_SORTED_TOGETHER
        for requests_read in _in_chunks(requests, window):
            readings: list[_EncodedAnswer] = []
            for request in requests_read:
                prepared = self._prepare_reading(request)
                if isinstance(prepared, ReadResult):
                    yield prepared
                else:
                    readings.append(prepared)
            readings.sort(key=_reading_order)
            for model, same_model in groupby(readings, key=lambda r: r.request.model):
                for batch in _in_chunks(same_model, self._batch_size):
                    yield from self._read(model, batch)

    def next_token_logprobs(
        self, model: str, messages: Sequence[Message], *, top: int = 20
    ) -> dict[str, float]:
        """Log-probabilities of the likeliest first tokens, by their spelling in the vocabulary."""
        with self._switched_to(model) as network:
            found = next_logprobs(network, encode_prompt(self._tokenizer, messages), top=top)
        require_finite_logprobs(model, [value for _, value in found])
        spellings = self._tokenizer.convert_ids_to_tokens([token for token, _ in found])
        return {text: value for text, (_, value) in zip(spellings, found, strict=True)}

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt as it reaches the model."""
        self._require_base()
        return encode_prompt(self._tokenizer, messages)

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as the model is shown it."""
        return decode_prompt(self._tokenizer, self.token_ids(messages))

    def close(self) -> None:
        """Forget the models, and give torch its threads back."""
        if self._threads_before is not None:
            torch.set_num_threads(self._threads_before)
            self._threads_before = None
        self._base = self._model = self._tokenizer = None
        self._adapters.clear()
        self._soft_prompts.clear()
        self._bases.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load_base(self, base: str) -> None:
        from transformers import AutoModelForCausalLM

        self.close()
        if self._threads is not None:
            self._threads_before = torch.get_num_threads()
            torch.set_num_threads(self._threads)
        tokenizer = load_tokenizer(base)
        on_gpu = torch.cuda.is_available()
        try:
            model = AutoModelForCausalLM.from_pretrained(
                base,
                dtype="auto" if on_gpu else torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"The base model {base} cannot be read: {first_line(error)}.",
                hint="Name a folder with config.json and safetensors, or a hub model.",
            ) from error
        self._model = model.to("cuda" if on_gpu else "cpu").eval()
        self._tokenizer = tokenizer
        self._base = ServedModel(name="base", base_model=base)

    def _load_adapter(self, model: ServedModel, path: Path) -> None:
        digest = content_digest(model)
        known = self._adapters.get(model.name)
        if known is not None and known[0] == digest:
            return
        if read_adapter(path).soft_prompt is not None:
            self._soft_prompts[model.name] = (digest, read_soft_prompt(path))
            return
        inner = f"adapter{len(self._adapters)}" if known is None else known[1]
        if known is not None:
            self._model.delete_adapter(inner)
            del self._adapters[model.name]
        self._model = fit_adapter(self._model, path, inner, model.name)
        self._adapters[model.name] = (digest, inner)

    def _require_base(self) -> None:
        if self._base is None:
            raise UnknownAdapter(
                "The local engine has loaded no model.", hint="Call load(models) first."
            )

    def _require_model(self, model: str) -> None:
        self._require_base()
        known = {*self._bases, *self._adapters, *self._soft_prompts}
        if model not in known:
            raise UnknownAdapter(
                f"The local engine has not loaded {model!r}.",
                hint="Loaded: " + ", ".join(sorted(known)) + ".",
            )

    @contextmanager
    def _switched_to(self, model: str) -> Iterator[Any]:
        """The network with the model's adapter on, behind its soft prompt, or as it is.

        Until it is left no other thread switches it.
        """
        with self._one_at_a_time:
            self._require_model(model)
            if model in self._adapters:
                self._model.set_adapter(self._adapters[model][1], inference_mode=True)
                yield self._model
                return
            from peft import PeftModel

            has_adapters = isinstance(self._model, PeftModel)
            with self._model.disable_adapter() if has_adapters else nullcontext():
                prompt = self._soft_prompts.get(model)
                yield self._model if prompt is None else SoftPrompted(self._model, prompt[1])

    def _limit(self) -> int:
        return self._max_model_len or int(self._model.config.max_position_embeddings)

    def _tokens_before(self, model: str) -> int:
        return len(self._soft_prompts[model][1]) if model in self._soft_prompts else 0

    def _prepare(
        self, request: GenerationRequest, params: SamplingParams
    ) -> _Prompt | GenerationResult:
        self._require_model(request.model)
        try:
            ids = encode_prompt(self._tokenizer, request.messages)
        except PromptRefused as refused:  # of this prompt alone, as a server answers it
            return GenerationResult(key=request.key, error=str(refused))
        room = self._limit() - params.max_tokens - self._tokens_before(request.model)
        if len(ids) <= room:
            return _Prompt(request, ids, 0)
        if params.truncate_prompt and room > 0:
            return _Prompt(request, ids[-room:], len(ids) - room)
        error = prompt_too_long(len(ids), params.max_tokens, self._limit())
        return GenerationResult(key=request.key, error=error, prompt_tokens=len(ids))

    def _prepare_reading(self, request: ReadRequest) -> _EncodedAnswer | ReadResult:
        self._require_model(request.model)
        try:
            prompt_ids = encode_prompt(self._tokenizer, request.messages)
            answer_ids, starts = encode_answer(self._tokenizer, request.answer)
        except PromptRefused as refused:
            return ReadResult(request.key, error=str(refused))
        if not answer_ids:
            return ReadResult(request.key)
        room = self._limit() - self._tokens_before(request.model)
        if len(prompt_ids) + len(answer_ids) > room:
            error = reading_too_long(len(prompt_ids), len(answer_ids), self._limit())
            return ReadResult(request.key, error=error)
        return _EncodedAnswer(request, prompt_ids, answer_ids, starts)

    def _read(self, model: str, batch: Sequence[_EncodedAnswer]) -> Iterator[ReadResult]:
        prompts, answers = [r.prompt_ids for r in batch], [r.answer_ids for r in batch]
        pad_id = self._tokenizer.pad_token_id or 0
        with self._switched_to(model) as network:
            found = answer_logprobs(network, prompts, answers, pad_id=pad_id)
        for reading, logprobs in zip(batch, found, strict=True):
            key = reading.request.key
            if all(map(math.isfinite, logprobs)):
                yield ReadResult(key, tuple(reading.starts), logprobs)
            else:
                yield ReadResult(key, error=NOT_FINITE)

    def _answer(
        self, model: str, batch: Sequence[_Prompt], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        started = time.perf_counter()
        decoding = Decoding(
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            seeds=[request_seed(params.seed, prompt.request.key) for prompt in batch],
            stop_ids=_stop_ids(self._model, self._tokenizer),
            pad_id=self._tokenizer.pad_token_id or 0,
        )
        with self._switched_to(model) as network:
            written = write_answers(network, [prompt.token_ids for prompt in batch], decoding)
        seconds = time.perf_counter() - started
        for prompt, answer in zip(batch, written, strict=True):
            yield self._result(prompt, answer, seconds)

    def _result(self, prompt: _Prompt, answer: DecodedText, seconds: float) -> GenerationResult:
        if not all(map(math.isfinite, answer.logprobs)):
            return GenerationResult(key=prompt.request.key, error=NOT_FINITE)
        text_ids = answer.token_ids[:-1] if answer.stopped else answer.token_ids
        text = self._tokenizer.decode(
            list(text_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return GenerationResult(
            key=prompt.request.key,
            text=str(text),
            finish_reason="stop" if answer.stopped else "length",
            token_logprobs=answer.logprobs,
            prompt_tokens=len(prompt.token_ids),
            completion_tokens=len(answer.token_ids),
            truncated_tokens=prompt.truncated,
            latency_s=seconds,
        )


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: the generation config's and the tokeniser's."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ids, tokenizer.eos_token_id] if token is not None)


def _in_chunks(items: Iterable[_Item], size: int) -> Iterator[tuple[_Item, ...]]:
    source = iter(items)
    while chunk := tuple(islice(source, size)):
        yield chunk
