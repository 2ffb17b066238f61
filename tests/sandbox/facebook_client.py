"""What an app of Facebook does, over real HTTP: sends the browser to the dialog, exchanges, reads, ends."""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from broker.sandbox.facebook import user_id

ANI, BUDI, CITRA = "ani@example.com", "budi@example.com", "citra@tokocitra.example"
ANI_PAGE, CATERING_PAGE, KOPI_PAGE = "104820017650001", "104820017650002", "104820017650003"
BUDI_PAGE, CITRA_PAGE = "104820017650011", "104820017650021"
ANI_INSTAGRAM = "17841400000000001"
CITRA_BUSINESS = "201930004410002"
REDIRECT = "https://broker.example/callback/facebook"
EVERY = (
    *("email", "pages_show_list", "pages_read_engagement", "pages_read_user_content", "pages_manage_metadata"),
    *("pages_manage_ads", "pages_messaging", "read_insights", "leads_retrieval", "ads_management"),
    *("instagram_basic", "instagram_manage_messages"),
)
"""What all readable edges need together."""
DAY = 24 * 3600


@dataclass
class FacebookApp:
    """One app of the fake at `url`."""

    url: str
    client_id: str = "4810001"
    client_secret: str = "FB-SECRET-1"
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.http.trust_env = False

    @property
    def app_token(self) -> str:
        return f"{self.client_id}|{self.client_secret}"

    def user_id(self, account: str = ANI) -> str:
        return user_id(self.client_id, account)

    # --- the dialog ---

    def request(self, *permissions: str, **parameters: str | None) -> dict[str, str]:
        """A request of the dialog; a parameter of None is left out."""
        asked: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": ",".join(permissions or EVERY),
            "state": "STATE-1",
            **parameters,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def page(self, asked: dict[str, str], **headers: str) -> requests.Response:
        return self.http.get(f"{self.url}/v26.0/dialog/oauth", params=asked, headers=headers, allow_redirects=False)

    def decide(self, asked: dict[str, str], ticked: list[str] | None = None, **form: Any) -> requests.Response:
        chosen = asked.get("scope", "").split(",") if ticked is None else ticked
        data = {"account": ANI, "decision": "allow", "scope": chosen, **form}
        return self.http.post(f"{self.url}/v26.0/dialog/oauth", params=asked, data=data, allow_redirects=False)

    def location(
        self,
        *permissions: str,
        ticked: list[str] | None = None,
        account: str = ANI,
        pages: list[str] | None = None,
        instagram: list[str] | None = None,
        **parameters: str | None,
    ) -> str:
        """Where the browser is sent back to."""
        chosen = {"pages": pages, "instagram": instagram}
        form = {name: ids for name, ids in chosen.items() if ids is not None}
        back = self.decide(self.request(*permissions, **parameters), ticked, account=account, **form)
        assert back.status_code in (302, 303), back.text
        assert back.headers["Location"].startswith(REDIRECT)
        return back.headers["Location"]

    def callback(self, *permissions: str, **how: Any) -> dict[str, str]:
        """The query that comes back to the redirect URI."""
        return dict(parse_qsl(urlsplit(self.location(*permissions, **how)).query))

    # --- tokens ---

    def token(self, method: str = "POST", **given: str | None) -> requests.Response:
        members = {"client_id": self.client_id, "client_secret": self.client_secret, **given}
        where = {"data" if method == "POST" else "params": members}
        return self.http.request(method, f"{self.url}/v26.0/oauth/access_token", **where)

    def exchange(self, code: str, /, **given: str | None) -> requests.Response:
        return self.token(**{"code": code, "redirect_uri": REDIRECT, **given})

    def short(self, *permissions: str, **how: Any) -> str:
        """A short-lived token."""
        answer = self.exchange(self.callback(*permissions, **how)["code"])
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def lengthen(self, token: str) -> requests.Response:
        return self.token(grant_type="fb_exchange_token", fb_exchange_token=token)

    def connect(self, *permissions: str, **how: Any) -> str:
        """A long-lived token."""
        answer = self.lengthen(self.short(*permissions, **how))
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def page_token(self, token: str, page: str = ANI_PAGE) -> str:
        answer = self.get(f"/{page}", token, fields="access_token")
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def of_page(self, *permissions: str, page: str = ANI_PAGE, **how: Any) -> str:
        """A Page token, from the first consent on."""
        return self.page_token(self.connect(*permissions, **how), page)

    def debug(self, token: str, by: str | None = None) -> dict[str, Any]:
        answer = self.get("/debug_token", by or self.app_token, input_token=token)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def proof(self, token: str, at: float | None = None) -> dict[str, str]:
        """Of a token, with a time or without."""
        message = token if at is None else f"{token}|{int(at)}"
        digest = hmac.new(self.client_secret.encode(), message.encode(), hashlib.sha256).hexdigest()
        return {"appsecret_proof": digest} | ({} if at is None else {"appsecret_time": str(int(at))})

    # --- Graph ---

    def get(self, path: str, token: str, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.get(f"{self.url}/v26.0{path}", params=query, headers=headers, timeout=30)

    def data(self, path: str, token: str, **query: Any) -> list[dict[str, Any]]:
        answer = self.get(path, token, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def all(self, path: str, token: str, **query: Any) -> list[dict[str, Any]]:
        """Every page of a list, by its cursors."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = self.get(path, token, after=after, **query).json()
            found += page["data"]
            if "next" not in page.get("paging", {}):
                return found
            after = page["paging"]["cursors"]["after"]

    def post(self, path: str, token: str, **form: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.post(f"{self.url}/v26.0{path}", data=form, headers=headers)

    def delete(self, path: str, token: str, **query: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.delete(f"{self.url}/v26.0{path}", params=query, headers=headers)

    def permissions(self, token: str) -> dict[str, str]:
        return {entry["permission"]: entry["status"] for entry in self.data("/me/permissions", token)}

    # --- the sandbox ---

    def quirk(self, **quirks: Any) -> requests.Response:
        return self.control("quirks", quirks)

    def control(self, name: str, body: Any = None) -> requests.Response:
        return self.http.post(f"{self.url}/_sandbox/{name}", json={} if body is None else body)

    def told(self, name: str, body: Any = None) -> dict[str, Any]:
        """A control call that succeeds; its answer."""
        answer = self.control(name, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_sandbox/state").json()


def error(answer: requests.Response) -> tuple[int, int, int | None]:
    """Status, code and subcode of Graph's error object."""
    found = answer.json()["error"]
    return answer.status_code, found["code"], found.get("error_subcode")
