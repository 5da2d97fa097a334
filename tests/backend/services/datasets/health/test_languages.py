"""Languages told without a model."""

from __future__ import annotations

import pytest

from backend.services.datasets.health.languages import SCRIPTS, SMALL_WORDS, guess_language

TOLD = [
    ("Where is my card, and when will it arrive?", "en"),
    ("Ich habe meine Karte nicht bekommen, was soll ich tun?", "de"),
    ("Je n'ai pas reçu ma carte et je ne sais pas quoi faire.", "fr"),
    ("No he recibido mi tarjeta y no sé qué puedo hacer.", "es"),
    ("Non ho ricevuto la mia carta e non so cosa posso fare.", "it"),
    ("Não recebi o meu cartão e não sei o que fazer.", "pt"),
    ("Ik heb mijn kaart niet gekregen en weet niet wat ik moet doen.", "nl"),
    ("Nie dostałem mojej karty i nie wiem, co mam zrobić.", "pl"),
    ("Jag har inte fått mitt kort och vet inte vad jag ska göra.", "sv"),
    ("Jeg har ikke fået mit kort, og jeg ved ikke hvad jeg skal gøre.", "da"),
    ("En ole saanut korttia, ja minä en tiedä mitä se on.", "fi"),
    ("Kartım gelmedi ve ne yapacağım, bu çok önemli bir şey.", "tr"),
    ("我还没有收到我的卡", "zh"),
    ("カードがまだ届いていません", "ja"),
    ("Я не получил свою карту", "ru"),
    ("لم أستلم بطاقتي بعد", "ar"),
]
NOT_TOLD = [
    "",
    "Card 4711",
    "OK",
    "12345 67890",
    "Paracetamol Ibuprofen Aspirin Metformin",
    "😀" * 9,
]


@pytest.mark.parametrize(("text", "code"), TOLD)
def test_a_sentence_is_told(text: str, code: str) -> None:
    assert guess_language(text) == code


@pytest.mark.parametrize("text", NOT_TOLD)
def test_what_is_no_sentence_is_called_nothing(text: str) -> None:
    assert guess_language(text) is None


def test_one_word_again_and_again_is_no_evidence() -> None:
    assert guess_language("Tab PO QAM 30. Bactrim 400/80 Tab PO BID 30") is None


def test_codes_are_each_in_one_table() -> None:
    assert not set(SMALL_WORDS) & set(SCRIPTS)
