"""The people and Pages of the fake Facebook. The same at every start, and all invented."""

from dataclasses import dataclass, field
from functools import partial

from broker.sandbox.facebook import seed_posts, seed_sales
from broker.sandbox.graph import digits
from broker.sandbox.graph_paging import Record, Series

TASKS = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")


@dataclass
class Person:
    """Somebody at Facebook, or an app's own system user there. `key` is an e-mail address, of which apps see nothing
    unless it was granted."""

    key: str
    first_name: str
    last_name: str
    email: str | None
    """The valid address, if there is one."""
    business: str | None = None
    """The id of the person's business portfolio."""
    system: bool = False
    blocked: int | None = None
    """Subcode of what keeps the person out: 459 or 464 (docs/facts/meta.md §6.1)."""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass
class Page:
    """One Page; `ordinal` stands in the ids of all that hangs on it."""

    id: str
    name: str
    category: str
    ordinal: int
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    """The tasks of each person, by key."""
    portfolio: str | None = None
    """The business through which alone its people hold their roles: `/me/accounts` does not show such a Page (H1)."""
    instagram: tuple[str, str] | None = None
    """Id and username of the linked professional account."""
    subscribed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Fields of webhooks by app."""
    posts: Series = field(init=False)
    forms: Series = field(init=False)
    talks: dict[str, Series] = field(init=False)
    """Conversations by platform: `messenger`, `instagram`."""
    _leads: dict[int, Series] = field(default_factory=dict)
    _comments: dict[int, Series] = field(default_factory=dict)
    _messages: dict[tuple[str, int], Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.posts = Series(partial(seed_posts.post, self.id, self.ordinal), 0, seed_posts.posted_at)
        self.forms = Series(partial(seed_sales.form, self.ordinal, self.id), 0, seed_sales.form_at)
        self.talks = {
            platform: Series(partial(seed_sales.talk, self.ordinal, platform), 0, seed_sales.talk_at)
            for platform in seed_sales.PLATFORMS
        }

    def comments(self, post: int) -> Series:
        """Of a post, by its number."""
        make = partial(seed_posts.comment, self.ordinal, post)
        at = partial(seed_posts.commented_at, post)
        return self._comments.setdefault(post, Series(make, seed_posts.comment_count(post), at))

    def replies(self, post: int, comment: int) -> Series:
        """To a comment, by its number."""
        make = partial(seed_posts.reply, self.ordinal, post, comment)
        at = seed_posts.commented_at(post, comment)
        return Series(make, seed_posts.reply_count(comment), lambda number: at + number)

    def leads(self, form: int) -> Series:
        """Of a form, by its number."""
        make = partial(seed_sales.lead, self.ordinal, form)
        return self._leads.setdefault(form, Series(make, 0, seed_sales.lead_at))

    def messages(self, platform: str, talk: int) -> Series:
        """Of a conversation, by its number."""
        make = partial(seed_sales.message, self.ordinal, self.id, self.name, platform, talk)
        at = partial(seed_sales.message_at, talk)
        return self._messages.setdefault((platform, talk), Series(make, seed_sales.message_count(talk), at))

    def holds(self, *, posts: int, leads: int, conversations: int) -> "Page":
        """Fill it: the first of three forms gets the leads."""
        self.posts.resize(posts)
        self.forms.resize(3 if leads else 0)
        for number, count in ((1, leads), (2, leads // 50)):
            self.leads(number).resize(count)
        self.talks["messenger"].resize(conversations)
        if self.instagram:
            self.talks["instagram"].resize(conversations // 5)
        return self


@dataclass
class Business:
    """A business portfolio."""

    id: str
    name: str


@dataclass
class World:
    """Everybody and everything at the start."""

    people: list[Person]
    pages: list[Page]
    businesses: list[Business]


ANI_PAGE, CATERING_PAGE, KOPI_PAGE = "104820017650001", "104820017650002", "104820017650003"
BUDI_PAGE, CITRA_PAGE = "104820017650011", "104820017650021"
ANI_INSTAGRAM = "17841400000000001"
ANI_BUSINESS, CITRA_BUSINESS = "201930004410001", "201930004410002"

ANI, BUDI, CITRA = "ani@example.com", "budi@example.com", "citra@tokocitra.example"


def world() -> World:
    """Ani with three Pages and more than a page of everything, Budi with one Page, Citra with one by way of her
    business portfolio alone."""
    people = [
        Person(ANI, "Ani", "Wijaya", ANI, business=ANI_BUSINESS),
        Person(BUDI, "Budi", "Santoso", BUDI),
        Person(CITRA, "Citra", "Lestari", CITRA, business=CITRA_BUSINESS),
    ]
    instagram = (ANI_INSTAGRAM, "toko.ani")
    pages = [
        Page(ANI_PAGE, "Toko Ani", "Retail Company", 1, portfolio=None, instagram=instagram),
        Page(CATERING_PAGE, "Ani Catering", "Caterer", 2),
        Page(KOPI_PAGE, "Kopi Ani", "Coffee Shop", 3),
        Page(BUDI_PAGE, "Bengkel Budi", "Automotive Repair Shop", 4),
        Page(CITRA_PAGE, "Toko Citra", "Clothing Store", 5, portfolio=CITRA_BUSINESS),
    ]
    amounts = ((300, 250, 40), (12, 0, 3), (3, 0, 0), (8, 6, 5), (5, 4, 2))
    owners = (ANI, ANI, ANI, BUDI, CITRA)
    for page, owner, (posts, leads, conversations) in zip(pages, owners, amounts, strict=True):
        page.roles[owner] = frozenset(TASKS)
        page.holds(posts=posts, leads=leads, conversations=conversations)
    businesses = [Business(ANI_BUSINESS, "Ani Group"), Business(CITRA_BUSINESS, "Citra Group")]
    return World(people, pages, businesses)


def user_id(app_id: str, key: str) -> str:
    """The id that an app sees of a person: another in each app, the same each time (§2.3)."""
    return "10" + digits(15, "user", app_id, key)


def person_record(person: Person, app_id: str) -> Record:
    """All fields of a person; those that nobody granted are taken out later."""
    found: Record = {
        "id": user_id(app_id, person.key),
        "name": person.name,
        "first_name": person.first_name,
        "last_name": person.last_name or None,
        "name_format": "{first} {last}",
        "short_name": person.first_name,
        "picture": {"data": {"height": 50, "is_silhouette": False, "width": 50, "url": picture_url(person.key)}},
        "email": person.email,
        "birthday": "08/17/1990",
        "gender": "unspecified",
        "hometown": {"id": "106436629394999", "name": "Bandung, Indonesia"},
        "location": {"id": "106436629394999", "name": "Bandung, Indonesia"},
        "link": f"https://www.facebook.com/app_scoped_user_id/{digits(20, 'link', app_id, person.key)}/",
        "age_range": {"min": 21},
    }
    return {name: value for name, value in found.items() if value is not None}


def picture_url(name: str) -> str:
    """A signed address at Meta's CDN (§6.3)."""
    return f"https://scontent.xx.fbcdn.net/v/t1/{digits(12, 'picture', name)}.jpg?oh=00_AfSIGNED&oe=6B000000"


def page_record(page: Page) -> Record:
    """All fields of a Page but those that a call adds."""
    posts = len(page.posts)
    return {
        "id": page.id,
        "name": page.name,
        "category": page.category,
        "category_list": [{"id": digits(12, page.category), "name": page.category}],
        "about": f"{page.name}: semua ada, di Bandung.",
        "phone": f"+62 22 555 {page.ordinal:04}",
        "emails": [f"halo{page.ordinal}@tokoani.example"],
        "website": f"https://page{page.ordinal}.example/",
        "location": {"city": "Bandung", "country": "Indonesia", "street": f"Jl. Melati {page.ordinal}"},
        "fan_count": 100 + posts,
        "followers_count": 120 + posts,
        "link": f"https://www.facebook.com/{page.id}",
        "username": f"page{page.ordinal}",
        "verification_status": "not_verified",
        "picture": {"data": {"height": 50, "is_silhouette": False, "width": 50, "url": picture_url(page.id)}},
    }
