"""What `/openapi.json` says of the portal's pages: they are for browsers, and take a cookie for who comes."""

from typing import Any

HTML = {"text/html": {"schema": {"type": "string"}}}
SEEN = {"200": {"description": "A page.", "content": HTML}}
MOVED = {"303": {"description": "On to a page, or back to the app."}}
HANDED = {"200": {"description": "A file."}}
REFUSED = {
    status: {"description": "A page that says what to do.", "content": HTML} for status in ("400", "404", "413", "503")
}


def paths() -> dict[str, Any]:
    """The paths below /portal, by method."""
    of_session, of_receipt = ("session_id",), ("session_id", "revocation_id")
    return {
        "/portal/open/{link}": {
            "get": _page("portal_door", "The one button of a portal's link", ("link",), {**SEEN, **MOVED}),
            "post": _page("portal_enter", "Open the portal in this browser, and in no other", ("link",), MOVED),
        },
        "/portal/{session_id}": {"get": _page("portal", "What is connected, read and ended", of_session, SEEN)},
        "/portal/{session_id}/end": {
            "get": _page("portal_ask", "Asks before something ends", of_session, {**SEEN, **MOVED}),
            "post": _page("portal_end", "Withdraw a connector, or disconnect", of_session, MOVED),
        },
        "/portal/{session_id}/receipts/{revocation_id}": {
            "get": _page("portal_receipt", "How something ended", of_receipt, SEEN)
        },
        "/portal/{session_id}/receipts/{revocation_id}/signed": {
            "get": _page("portal_signed_receipt", "The signed receipt", of_receipt, HANDED)
        },
        "/portal/{session_id}/export": {
            "post": _page("portal_export", "Everything held about the subject", of_session, HANDED)
        },
        "/portal/{session_id}/language": {
            "post": _page("portal_language", "Choose the language", of_session, MOVED),
        },
        "/portal/{session_id}/leave": {"post": _page("portal_leave", "Back to the app", of_session, MOVED)},
    }


def _page(name: str, summary: str, path: tuple[str, ...], answers: dict[str, Any]) -> dict[str, Any]:
    named = [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in path]
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "parameters": named,
        "responses": {**answers, **REFUSED},
    }
