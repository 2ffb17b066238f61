"""What there is to read at Facebook: the person, the Pages, what hangs on a Page. Sections are of docs/facts/meta.md.

Nothing of it says what was deleted. What hangs on a Page is read with the Page's own token.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from broker.providers.data import graph
from broker.providers.resource import Place, Resource, Values

PUBLIC = "public_profile"
"""It cannot be declined, nor taken back alone (§1.10)."""
POSTS = "pages_read_engagement pages_show_list"
COMMENTS = "pages_read_engagement pages_read_user_content pages_show_list"
LEADS = "leads_retrieval pages_manage_ads pages_read_engagement pages_show_list"
OF_ADS = f"ads_management {LEADS}"
INBOX = "pages_manage_metadata pages_messaging pages_read_engagement pages_show_list"
"""All of them together (§4.1); `pages_show_list` opens the list of Pages to choose from."""


class Profile(graph.Node):
    """The person (§4.1). An address may be missing though it was granted (H7), and is never a verified one."""

    name = "profile"
    operation = "facebook.me.get"
    of_account = True
    fields = {**dict.fromkeys(("name", "first_name", "last_name", "picture"), (PUBLIC,)), "email": ("email",)}
    titles = {
        "name": {"en": "your name", "id": "nama Anda"},
        "first_name": {"en": "given name", "id": "nama depan"},
        "last_name": {"en": "family name", "id": "nama belakang"},
        "picture": {"en": "your picture", "id": "foto Anda"},
        "email": {"en": "email address", "id": "alamat email"},
    }


class Pages(graph.Edge):
    """The Pages that the user manages: what may be chosen as an asset (§1.6, H1, H2)."""

    name = "pages"
    operation = "facebook.me.accounts.list"
    fields = dict.fromkeys(("name", "category"), ("pages_show_list",))
    titles = {
        "name": {"en": "names of your Pages", "id": "nama Halaman Anda"},
        "category": {"en": "their categories", "id": "kategorinya"},
    }

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        found, name = super().as_asset(raw), raw.get("name")
        return (found[0], name[:200] if isinstance(name, str) and name else found[0]) if found else None


class OfPage(graph.Edge):
    """A list that hangs on a Page."""

    asset_kind = "page"
    resumes_by_time = True


class AllPosts(OfPage):
    """Every post of a Page's own, walked over to what hangs below it."""

    name = "all_posts"
    operation = "facebook.page.posts.list"
    fields: Mapping[str, tuple[str, ...]] = {}


class Posts(AllPosts):
    """What a Page has published itself (§4.1). Later readings give what was posted since, not what was changed."""

    name = "posts"
    fields = dict.fromkeys(
        ("message", "created_time", "updated_time", "permalink_url", "full_picture", "status_type"), (POSTS,)
    )
    titles = {
        "message": {"en": "text of the Page's posts", "id": "teks kiriman Halaman"},
        "created_time": {"en": "when it was posted", "id": "waktu kirim"},
        "updated_time": {"en": "last change", "id": "perubahan terakhir"},
        "permalink_url": {"en": "its address", "id": "alamatnya"},
        "full_picture": {"en": "its picture", "id": "gambarnya"},
        "status_type": {"en": "what kind of post it is", "id": "jenis kirimannya"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        first = graph.since(place)
        values = super().parameters(fields, asset, place, limit)
        return values if first is None else {**values, "since": str(first)}


class Comments(OfPage):
    """Comments on a Page's posts, and the answers to them, the newest first (§4.1). The time of a post's last change
    tells of comments, too."""

    name = "comments"
    operation = "facebook.post.comments.list"
    parent = "all_posts"
    parent_fields = ("updated_time",)
    through = "post"
    below = "post_id"
    dated = "created_time"
    always = {"filter": "stream", "order": "reverse_chronological"}
    nested = {"from": "{id,name}", "parent": "{id}"}
    fields = dict.fromkeys(
        ("message", "created_time", "from", "parent", "like_count", "comment_count", "is_hidden", "permalink_url"),
        (COMMENTS,),
    )
    titles = {
        "message": {"en": "what people write below the Page's posts", "id": "komentar orang pada kiriman Halaman"},
        "created_time": {"en": "when they wrote it", "id": "waktu penulisannya"},
        "from": {"en": "who wrote it", "id": "penulisnya"},
        "parent": {"en": "which comment it answers", "id": "komentar yang dibalas"},
        "like_count": {"en": "number of likes", "id": "jumlah suka"},
        "comment_count": {"en": "number of answers", "id": "jumlah balasan"},
        "is_hidden": {"en": "whether the Page hides it", "id": "apakah disembunyikan Halaman"},
        "permalink_url": {"en": "its address", "id": "alamatnya"},
    }

    def has_news(self, parent: Mapping[str, Any], place: Place) -> bool:
        return graph.is_new(parent.get("updated_time"), place)


class Forms(OfPage):
    """The lead forms of a Page, walked over to their leads."""

    name = "forms"
    operation = "facebook.page.leadgen_forms.list"
    fields: Mapping[str, tuple[str, ...]] = {}


class Leads(OfPage):
    """What people filled into the lead forms of a Page (§4.1). Facebook keeps it for ninety days.

    Its page wants `ads_management` for leads, and again for the fields of the ad alone: so it is asked for, those
    fields need it, and whether leads come without it is Facebook's to say.
    """

    name = "leads"
    operation = "facebook.form.leads.list"
    parent = "forms"
    through = "form"
    below = "form_id"
    fields = {
        **dict.fromkeys(("field_data", "created_time", "is_organic", "platform"), (LEADS,)),
        **dict.fromkeys(("ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "campaign_name"), (OF_ADS,)),
    }
    titles = {
        "field_data": {"en": "what people fill into your lead forms", "id": "isian orang pada formulir prospek Anda"},
        "created_time": {"en": "when they sent it", "id": "waktu pengirimannya"},
        "is_organic": {"en": "whether it came without an ad", "id": "apakah datang tanpa iklan"},
        "platform": {"en": "whether it came by Facebook or Instagram", "id": "apakah lewat Facebook atau Instagram"},
        "ad_id": {"en": "the ad it came from", "id": "iklan asalnya"},
        "ad_name": {"en": "name of the ad", "id": "nama iklannya"},
        "adset_id": {"en": "the ad set", "id": "set iklannya"},
        "adset_name": {"en": "name of the ad set", "id": "nama set iklannya"},
        "campaign_id": {"en": "the campaign", "id": "kampanyenya"},
        "campaign_name": {"en": "name of the campaign", "id": "nama kampanyenya"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        first = graph.since(place)
        values = super().parameters(fields, asset, place, limit)
        if first is None:
            return values
        rule = {"field": "time_created", "operator": "GREATER_THAN", "value": first}
        return {**values, "filtering": json.dumps([rule], separators=(",", ":"))}


class Conversations(OfPage):
    """The conversations of a Page's inbox at Messenger, walked over to their messages. They cannot be asked by time
    (§4.1)."""

    name = "conversations"
    operation = "facebook.page.conversations.list"
    most = 50
    always = {"platform": "messenger"}
    fields: Mapping[str, tuple[str, ...]] = {}


class Messages(OfPage):
    """What people and a Page wrote to each other, the newest first (§4.1)."""

    name = "messages"
    operation = "facebook.conversation.messages.list"
    parent = "conversations"
    parent_fields = ("updated_time",)
    through = "conversation"
    below = "conversation_id"
    dated = "created_time"
    most = 50
    nested = dict.fromkeys(("from", "to"), "{email,id,name}")
    fields = dict.fromkeys(("message", "from", "to", "created_time"), (INBOX,))
    titles = {
        "message": {"en": "messages between people and the Page", "id": "pesan antara orang dan Halaman"},
        "from": {"en": "who wrote them", "id": "penulisnya"},
        "to": {"en": "who they went to", "id": "penerimanya"},
        "created_time": {"en": "when they were sent", "id": "waktu pengirimannya"},
    }

    def has_news(self, parent: Mapping[str, Any], place: Place) -> bool:
        return graph.is_new(parent.get("updated_time"), place)


RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        *(Profile(), Pages(), AllPosts(), Posts(), Comments(), Forms(), Leads(), Conversations(), Messages()),
    )
}
