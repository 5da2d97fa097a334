"""Routes, one module per stage; `ROUTERS` is all of them in the order of the loop."""

from backend.api.routes import desk, projects, users

ROUTERS = [users.router, desk.router, projects.router]
