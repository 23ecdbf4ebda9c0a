"""What all sockets of a gateway share."""

from dataclasses import dataclass

from actors.client import ActorClient
from gateway.fanout import Fanout
from gateway.metrics import GatewayMetrics
from gateway.replay import Replayer
from gateway.session_check import SessionCheck
from gateway.settings import GatewaySettings
from gateway.tokens import Tokens


@dataclass(frozen=True, slots=True)
class SocketServices:
    """What all sockets of a gateway share."""

    actors: ActorClient
    tokens: Tokens
    sessions: SessionCheck
    fanout: Fanout
    replayer: Replayer
    settings: GatewaySettings
    metrics: GatewayMetrics
