"""Google's records as its resources take them out of an answer, cut to nothing yet."""

from typing import Any

OTHER_SOURCE = {"source": {"type": "OTHER_CONTACT", "id": "2f"}}

OTHER_PERSON: dict[str, Any] = {
    "resourceName": "otherContacts/c7",
    "etag": "%E1",
    "metadata": {"sources": [{"type": "OTHER_CONTACT", "id": "2f", "updateTime": "2026-11-01T02:00:00Z"}]},
    "names": [{"displayName": "Sari", "givenName": "Sari", "metadata": {"primary": True, **OTHER_SOURCE}}],
    "emailAddresses": [{"value": "sari@example.org", "metadata": {"primary": True, **OTHER_SOURCE}}],
    "phoneNumbers": [{"value": "0812-5550-0007", "metadata": OTHER_SOURCE}],
}
MAIL: dict[str, Any] = {
    "id": "19a0000000000001",
    "threadId": "19a0000000000000",
    "labelIds": ["INBOX", "UNREAD"],
    "snippet": "SECRET-TEXT",
    "historyId": "4000017",
    "internalDate": "1793498400000",
    "sizeEstimate": 2048,
    "payload": {
        "partId": "",
        "headers": [
            {"name": "From", "value": '"Putri, Dewi" <dewi@example.org>'},
            {"name": "To", "value": "Ani Wijaya <ani@example.com>, budi@example.com"},
            {"name": "Cc", "value": "gudang@example.com"},
            {"name": "Subject", "value": "Order 1"},
            {"name": "Date", "value": "Mon, 02 Nov 2026 09:00:00 +0700"},
            {"name": "Message-ID", "value": "<1@mail.example.org>"},
        ],
    },
}
ROW: dict[str, Any] = {
    "row": "1AniPelanggan/2",
    "headings": ["Nama", "Email", "Telepon", "Perusahaan", "Kota", "", "Total"],
    "cells": ["Dewi Putri", "dewi@example.org", "0812-5550-0031", "Toko Cahaya", "Bandung", "baru", "12.500"],
}
FIGURE: dict[str, Any] = {
    "id": "properties/510001/20261101:google:organic:totalRevenue",
    "date": "20261101",
    "sessionSource": "google",
    "sessionMedium": "organic",
    "metric": "totalRevenue",
    "value": "1250000.5",
    "currency": "IDR",
    "restriction": "REVENUE_DATA",
}
FOUND: dict[str, Any] = {
    "id": "locations/710001/2026-11-01:CALL_CLICKS",
    "date": "2026-11-01",
    "metric": "CALL_CLICKS",
    "value": "12",
}
GOOGLE: dict[str, dict[str, Any]] = {
    "google_other_contacts": OTHER_PERSON,
    "google_mail": MAIL,
    "google_sheets": ROW,
    "google_analytics": FIGURE,
    "google_business_performance": FOUND,
}
DELETED: dict[str, dict[str, Any]] = {
    "google_other_contacts": {"resourceName": "otherContacts/c7", "metadata": {"deleted": True}},
    "google_mail": {**MAIL, "labelIds": ["TRASH"]},
}
"""By connector."""
