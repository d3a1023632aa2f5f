"""The patient's page in the system's Chromium, against a stand-in for the relay."""

from __future__ import annotations

from typing import Any

from tests.relay.page_browser import opened, text, tone
from tests.relay.page_server import PageServer, token, wait


def start(page: Any) -> None:
    page.check("#consent")
    page.click("#start")
    tone(page, "good")


def test_nothing_is_sent_before_consent(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        wait(lambda: page.evaluate("document.getElementById('preview').videoWidth") > 0, "the preview")
        mirrored = page.evaluate("getComputedStyle(document.getElementById('preview')).transform")
        assert mirrored.startswith("matrix(-1")
        assert page.is_disabled("#start") and not page.is_checked("#consent")
        assert "Nothing is sent yet" in text(page, "#state")
        page.evaluate("document.getElementById('start').click()")
        page.check("#consent")
        page.uncheck("#consent")
        assert page.is_disabled("#start")
        assert relay.heard.offers == [] and relay.heard.messages == []
        page.fill("#slider", "64")
        assert "told so, all the time, and to what: 64 bpm" in text(page, ".consent")
        assert "#" not in page.url  # whoever sees the address bar cannot take this place


def test_from_start_to_live_and_leave(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        page.fill("#amount", "64")
        page.keyboard.press("Tab")
        start(page)
        path, offer = relay.heard.offers[0]
        assert path == "/whip/room-1?hr=64"
        assert (
            "a=candidate" in offer
            and "a=sendonly" in offer
            and offer.index("VP8/90000") < offer.index("H264")
        )
        assert offer.count("m=video") == offer.count("m=audio") == 1
        wait(lambda: text(page, "#fps") == "25" and text(page, "#viewers") == "1", "the figures")
        wait(lambda: text(page, "#delay").endswith("ms"), "the delay")
        assert page.evaluate("document.activeElement.id") == "pause"
        page.click("#leave")
        wait(lambda: relay.heard.deleted == ["/whip/room-1/1"], "the DELETE")
        assert "You have left" in text(page, "#state")
        assert page.evaluate("document.getElementById('preview').srcObject") is None
        assert relay.heard.messages[-1] == {"type": "bye"}
        page.click("#start")
        tone(page, "good")
        assert len(relay.heard.offers) == 2


def test_rate_changes_are_sent_and_told_again(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        page.fill("#slider", "121")
        wait(lambda: relay.bpm == 121, "the slider")
        page.focus("#slider")
        page.keyboard.press("ArrowRight")
        wait(lambda: relay.bpm == 122, "an arrow key")
        page.fill("#amount", "300")
        page.keyboard.press("Enter")
        wait(lambda: relay.bpm == 180 and page.input_value("#amount") == "180", "the limit")
        page.check("#mode-none")
        wait(lambda: relay.bpm is None, "no pulse")
        page.get_by_text("none is put in. Whoever watches is told so.").wait_for()
        relay.bpm = 70.0  # the relay has not kept it: the page's choice is the patient's
        wait(lambda: relay.bpm is None, "told again")


def test_pause_blackens_at_the_source_and_outlives_a_lost_relay(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        page.click("#pause")
        wait(lambda: relay.paused, "the message")
        assert "Paused" in text(page, "#state") and text(page, "#pause") == "Go on"
        enabled = "document.getElementById('preview').srcObject.getVideoTracks()[0].enabled"
        assert page.evaluate(enabled) is False
        relay.paused = False  # as a relay that was started anew
        relay.call(relay.end_sessions())
        wait(lambda: len(relay.heard.offers) == 2 and relay.paused, "paused again")
        assert page.evaluate(enabled) is False
        page.click("#pause")
        wait(lambda: not relay.paused, "going on")
        tone(page, "good")
        assert page.evaluate(enabled) is True


def test_states_say_why(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        relay.patient = {**relay.live, "state": "shielded", "reason": "face lost"}
        page.get_by_text("Face lost. Whoever watches sees a card, not you.").wait_for()
        relay.patient = {**relay.live, "state": "interrupted"}
        page.get_by_text("Your pictures do not reach the relay").wait_for()
        relay.silent = True
        relay.call(relay.close_sockets())
        page.get_by_text("Sending, but not informed").wait_for()
        assert text(page, "#fps") == "–"
        relay.silent, relay.patient = False, relay.live
        tone(page, "good")


def test_full_relay_says_why_and_when(browser: Any, relay: PageServer) -> None:
    relay.refusal = (503, "no more pictures can be filtered in real time", 30)
    with opened(browser, relay.link("patient"), refused=True) as page:
        page.check("#consent")
        page.click("#start")
        page.get_by_text("The relay is full").wait_for()
        assert "No more pictures can be filtered in real time." in text(page, "#state-words")
        wait(lambda: text(page, "#state-count") == "Trying again in 29 s.", "the countdown")
        relay.refusal = None
        page.click("#again")
        tone(page, "good")


def test_what_cannot_be_mended_is_not_tried_again(browser: Any, relay: PageServer) -> None:
    relay.refusal = (401, "no", None)
    with opened(browser, relay.link("patient"), refused=True) as page:
        page.check("#consent")
        page.click("#start")
        page.get_by_text("This link is no longer good").wait_for()
        page.wait_for_timeout(900)
        assert len(relay.heard.offers) == 1
        relay.refusal = (406, "no", None)
        page.click("#start")
        page.get_by_text("share no video format").wait_for()
        relay.refusal = None
        page.click("#start")
        tone(page, "good")


def test_taken_over_elsewhere_does_not_fight_for_its_place(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        relay.session = "another"
        page.get_by_text("Started elsewhere").wait_for()
        page.wait_for_timeout(900)
        assert len(relay.heard.offers) == 1
        page.click("#start")  # knowingly
        tone(page, "good")


def test_goodbyes_of_the_relay(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        relay.call(relay.say({"type": "closing", "reason": "the relay restarts", "reconnect_in": 0.5}))
        page.get_by_text("The relay restarts.").wait_for()
        tone(page, "good")
        assert len(relay.heard.offers) == 2
        relay.call(relay.say({"type": "closing", "reason": "this room is closed", "reconnect_in": None}))
        page.get_by_text("The relay ended this call").wait_for()


def test_offline_is_said_and_mended_at_once(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient"), refused=True) as page:
        start(page)
        relay.refusal = (502, "nobody there", None)
        page.context.set_offline(True)
        relay.call(relay.end_sessions())
        page.get_by_text("This device is offline.").wait_for()
        relay.refusal = None
        page.context.set_offline(False)
        tone(page, "good")


def test_leaving_the_page_ends_the_session(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)
        page.reload()
        wait(lambda: relay.heard.deleted == ["/whip/room-1/1"], "the DELETE")
        assert page.is_disabled("#start")  # consent is asked for anew; the link is still known
        assert "Nothing is sent yet" in text(page, "#state")


def test_link_to_share(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        shown = page.input_value("#share-link")
        assert shown.startswith(f"{relay.url}/viewer#t=")
        page.click("#copy")
        page.get_by_text("Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == shown
    with opened(browser, relay.link("patient", share=False)) as page:
        assert page.is_hidden("#share")


def test_a_link_that_cannot_be_used(browser: Any, relay: PageServer) -> None:
    with opened(browser, f"{relay.url}/patient") as page:
        for fragment, words in [
            ("#t=nonsense", "This page opens by its link"),
            (f"#t={token('r', 'viewer')}", "not for sending a picture"),
        ]:
            page.goto(f"{relay.url}/patient{fragment}")
            page.get_by_text(words).wait_for()
            assert page.is_hidden("#start")
        page.goto(relay.link("patient"))  # the right one, pasted into the same tab
        page.wait_for_selector("#start")


def test_camera_errors_say_what_to_do(browser: Any, relay: PageServer) -> None:
    failing = (
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', window.failure))"
    )
    with opened(browser, relay.link("patient"), script=failing) as page:
        page.check("#consent")
        for name, words in [
            ("NotAllowedError", "allow it for this page"),
            ("NotReadableError", "Close the other program"),
            ("NotFoundError", "Plug one in"),
        ]:
            page.evaluate("(name) => { window.failure = name; }", name)
            page.click("#start")
            page.get_by_text(words).wait_for()
            assert "Nothing is sent yet" in text(page, "#state") and relay.heard.offers == []
            assert page.is_enabled("#start")


def test_devices_are_chosen_while_live(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        start(page)

        def camera() -> object:
            return page.evaluate("document.getElementById('preview').srcObject.getVideoTracks()[0].label")

        page.select_option("#camera", index=1)
        wait(lambda: camera() == page.inner_text("#camera option >> nth=1"), "the other camera")
        names = page.eval_on_selector_all("#microphone option", "options => options.map(o => o.text)")
        assert len(names) > 1 and names[-1] == "No microphone"
        wait(lambda: page.evaluate("document.getElementById('level').value") > 0.05, "the fake microphone")
        page.select_option("#microphone", "none")
        page.wait_for_selector("#level", state="hidden")
        page.select_option("#microphone", index=0)
        page.wait_for_selector("#level:not([hidden])")
        page.evaluate(
            """document.getElementById("preview").srcObject.getVideoTracks()[0]
              .dispatchEvent(new Event("ended"))"""
        )
        page.get_by_text("The camera stopped.").wait_for()
        page.click("#turn-on")
        page.wait_for_selector("#preview-off", state="hidden")
        assert len(relay.heard.offers) == 1


def test_by_keyboard_alone(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("patient")) as page:
        page.wait_for_selector("#preview-off", state="hidden")
        walked = []
        for _ in range(12):
            page.keyboard.press("Tab")
            walked.append(page.evaluate("document.activeElement.id"))
            if walked[-1] == "consent":
                break
        assert walked == ["theme", "camera", "microphone", "mode-number", "amount", "slider", "consent"]
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "start"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        tone(page, "good")
        page.keyboard.press("Enter")  # on Pause, where the focus went
        wait(lambda: relay.paused, "the pause")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("You have left").wait_for()
        assert page.evaluate("document.activeElement.id") == "start"
