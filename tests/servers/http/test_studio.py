"""The studio page in a browser; skipped where there is no Chromium and no playwright."""

from __future__ import annotations

import io
import shutil

import pytest
import soundfile

from realtts.testing import fake_spec, faulty, voice_like

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [pytest.mark.full, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

ARGUMENTS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@pytest.fixture(scope="module")
def browser():
    """A browser with a microphone that beeps."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, serve):
    """Opens the page of a server; a message in its console fails the test."""
    pages, messages = [], []

    def open_page(*specs, width=1280, **fields):
        running = serve(*specs, **fields)
        # The policy would forbid the waits of these tests, too.
        viewport = {"width": width, "height": 900}
        page = browser.new_page(viewport=viewport, permissions=["microphone"], bypass_csp=True)
        page.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(running.url)
        page.wait_for_function("document.querySelector('#model').options.length > 0")
        page.wait_for_function("document.querySelector('#code-text').textContent.length > 0")
        pages.append(page)
        return page

    open_page.messages = messages
    yield open_page
    for page in pages:
        page.close()
    assert not [text for text in messages if "400 (Bad Request)" not in text]


def speak(page, text="alpha beta gamma"):
    """Speak and wait for the end."""
    page.fill("#text", text)
    page.click("#speak")
    page.wait_for_function("document.querySelector('.facts')?.textContent.includes('RTF')")


def test_speaks_with_words_and_figures(open_page):
    """First audio, RTF, rung and seed; each word can be clicked, and the position follows."""
    page = open_page()
    speak(page)
    facts = page.text_content(".facts")
    assert all(word in facts for word in ("first audio", "RTF", "rung", "seed", "0.30 s"))
    assert page.locator(".words .word").all_text_contents() == ["alpha", "beta", "gamma"]
    page.locator(".words .word").nth(2).click()
    page.locator(".play").click()
    page.locator(".wave").press("Home")
    assert page.get_attribute(".wave", "aria-valuemax") == "0.3"
    assert page.text_content(".clock").endswith("/ 0:00")


def test_its_policy_lets_it_work(browser, serve):
    """Without a bypass: it speaks, and nothing is blocked."""
    messages = []
    page = browser.new_page()
    page.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
    page.goto(serve().url)
    page.wait_for_selector("#option-loudness", state="attached")
    page.click("#speak")
    page.wait_for_selector(".word >> nth=8")
    page.close()
    assert not messages


def test_plays_before_the_end(open_page):
    """The play button works while the rest is spoken."""
    page = open_page()
    page.fill("#text", "word " * 40)
    page.click("#more summary")
    page.fill("#option-delay_s", "0.1")
    page.click("#speak")
    page.wait_for_function("document.querySelector('.play')?.disabled === false")
    assert page.is_disabled("#speak")
    page.click("#stop")
    page.wait_for_function("!document.querySelector('#speak').disabled")


def test_errors_stand_beside_their_field(open_page):
    """In words, with the field marked, for the server's errors and the page's own."""
    page = open_page()
    page.fill("#text", " ")
    page.click("#speak")
    assert "Write something" in page.text_content("#input-error")
    page.fill("#text", "alpha")
    page.click("#more summary")
    page.fill("#option-loudness", "9")
    page.click("#speak")
    page.wait_for_selector("#loudness-error:visible")
    assert "loudness" in page.text_content("#loudness-error")
    assert page.get_attribute("#option-loudness", "aria-invalid") == "true"


def test_steps_that_were_given_up_are_shown(open_page):
    """With what can be done about them."""
    page = open_page(faulty(fake_spec(), "load"))
    speak(page)
    page.wait_for_selector("#attempts li")
    assert "failed at load" in page.text_content("#attempts")


def test_two_takes_are_compared(open_page):
    """Side by side, each with its seed; the history keeps both."""
    page = open_page()
    speak(page)
    page.check("[name=take][value=B]")
    page.click("#speak")
    page.wait_for_function("document.querySelectorAll('.take-card').length === 2")
    page.wait_for_function("[...document.querySelectorAll('.facts')].every(each => each.textContent.includes('RTF'))")
    page.wait_for_function("document.querySelectorAll('#history-list li').length === 2")


def test_recordings_are_uploaded_checked_and_saved(open_page, tmp_path):
    """A file that is too short is refused before it is sent; a good one becomes a voice."""
    page = open_page(fake_spec(reference_seconds=(1.0, 20.0)))
    for name, seconds in (("short", 0.3), ("good", 3.0)):
        buffer = io.BytesIO()
        soundfile.write(buffer, *voice_like(seconds), format="WAV")
        (tmp_path / f"{name}.wav").write_bytes(buffer.getvalue())
    page.click("#cloning summary")
    page.set_input_files("#upload", tmp_path / "short.wav")
    page.wait_for_selector("#ref_audio-error:visible")
    assert "least" in page.text_content("#ref_audio-error")
    page.set_input_files("#upload", tmp_path / "good.wav")
    page.wait_for_function("!document.querySelector('#save-voice').disabled")
    speak(page)
    page.fill("#voice-name", "anna")
    page.click("#save-voice")
    page.wait_for_function("document.querySelector('#voice').value === 'anna'")
    speak(page)


def test_the_microphone_is_recorded(open_page):
    """And what it heard is used."""
    page = open_page(fake_spec(reference_seconds=(0.5, 20.0)))
    page.click("#cloning summary")
    page.click("#record")
    page.wait_for_function("parseFloat(document.querySelector('#recording-note').textContent) > 1.5")
    page.click("#record")
    page.wait_for_function("!document.querySelector('#save-voice').disabled")
    assert page.is_visible("#recording-player")


@pytest.mark.parametrize("kind", ["mp3", "wav", "opus"])
def test_takes_are_downloaded(open_page, kind):
    """In the chosen format, of the same seed; and its captions."""
    page = open_page()
    speak(page)
    page.select_option(".format", kind)
    with page.expect_download() as download:
        page.click(".download")
    assert download.value.suggested_filename == f"speech-A.{kind}"
    with page.expect_download() as captions:
        page.click(".captions")
    assert captions.value.suggested_filename == "speech-A.srt"


@pytest.mark.parametrize("tab", ["curl", "python", "openai"])
def test_the_request_as_code(open_page, tab):
    """With the text and the fields of the form."""
    page = open_page()
    page.fill("#text", 'It\'s "quoted".')
    page.click("#code summary")
    page.click(f"#tab-{tab}")
    code = page.text_content("#code-text")
    assert "quoted" in code
    if tab != "curl":
        compile(code, "code", "exec")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_page(open_page, width):
    """On a phone and on a desktop."""
    page = open_page(width=width)
    for part in ("more", "cloning", "code"):
        page.click(f"#{part} summary")
    speak(page, "A text that is longer than a phone is wide, " * 5)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(open_page, scheme):
    """Names, roles, contrast: checked by axe, where it is installed."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page()
    page.emulate_media(color_scheme=scheme)
    page.click("#more summary")
    page.click("#cloning summary")
    page.click("#code summary")
    speak(page)
    violations = axe.Axe().run(page).response["violations"]
    assert not [(each["id"], [node["target"] for node in each["nodes"]]) for each in violations]
