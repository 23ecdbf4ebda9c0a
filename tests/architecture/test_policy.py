"""The policy has a line for every route and every frame, and no line for anything else."""

from typing import get_args

from fastapi.routing import iter_route_contexts
from starlette.routing import WebSocketRoute

from actors.protocol.ids import RESERVED_TENANTS
from gateway.frames import AnyFrame
from gateway.policy import FRAMES, ROUTES
from tests.architecture.documents import application

PREFIX = "/api/v1"


def served() -> list[tuple[str, str]]:
    """Every route of the application, as the policy spells it and as its own file does."""
    found = []
    for route in iter_route_contexts(application().routes):
        if isinstance(route.original_route, WebSocketRoute):
            continue
        for method in route.methods or ():
            path, own = route.path or "", getattr(route.original_route, "path", "")
            found.append((f"{method} {path.removeprefix(PREFIX)}", f"{method} {own}"))
    return found


def test_every_route_has_one_line_and_every_line_a_route() -> None:
    names = [name for name, _ in served()]
    assert len(names) == len(set(names))
    assert set(names) == ROUTES.keys()


def test_a_route_is_spelled_in_the_policy_as_the_gate_sees_it() -> None:
    assert [pair for pair in served() if pair[0] != pair[1]] == []


def test_the_socket_is_the_only_door_beside_the_routes() -> None:
    doors = [
        route.path
        for route in iter_route_contexts(application().routes)
        if isinstance(route.original_route, WebSocketRoute)
    ]
    assert doors == ["/ws/v1"]


def test_a_word_that_stands_where_the_id_of_a_tenant_may_stand_is_no_id() -> None:
    paths = [route.partition(" ")[2].split("/") for route in ROUTES]
    places = {
        tuple(path[:at]) for path in paths for at, step in enumerate(path) if step == "{tenant}"
    }
    words = {
        path[len(place)]
        for place in places
        for path in paths
        if len(path) > len(place) and tuple(path[: len(place)]) == place
    }
    assert words - {"{tenant}"} == {"current"}
    assert words - {"{tenant}"} <= RESERVED_TENANTS


def test_every_frame_has_one_line_and_every_line_a_frame() -> None:
    models = get_args(get_args(AnyFrame)[0])
    types = {get_args(model.model_fields["type"].annotation)[0] for model in models}
    assert types == FRAMES.keys()
