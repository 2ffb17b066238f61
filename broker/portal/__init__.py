"""The subject's portal: what is connected, what each connector may read and has read, and the way to end it.

sessions   a link, bound to the first browser that opens it
view       the page as a value
ending     withdraw and revoke, as the subject
texts      what it says, in both languages
"""
