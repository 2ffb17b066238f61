"""The HTTP edge: browser pages, the API, OAuth endpoints, operating. It decides nothing: it asks `broker.connections`
and `broker.records`, and turns values and errors into answers.
"""
