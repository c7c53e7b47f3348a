"""What survives a restart: the record that is saved, and the state that a start makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from vedette.types import Address, RunId

from .model import UNKNOWN_ASKER, Leaving, Master, SentinelState, Vote, add_peer, new_node
from .options import GlobalOptions, MasterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableMaster:
    """What sentinel.conf holds of one master; `address` is the current (promoted) one."""

    name: str
    address: Address
    options: MasterOptions
    config_epoch: int = 0
    leader_epoch: int = 0
    replicas: tuple[Address, ...] = ()
    sentinels: tuple[tuple[RunId, Address], ...] = ()
    #: Sentinels that count for the majority alone, and those that were forgotten.
    leaving: tuple[tuple[RunId, Address], ...] = ()
    forgotten: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableState:
    """What must survive a restart."""

    my_id: RunId
    current_epoch: int
    options: GlobalOptions
    masters: tuple[DurableMaster, ...] = ()


def durable_state(
    state: SentinelState, masters: tuple[DurableMaster, ...] | None = None
) -> DurableState:
    """The record to be saved for this state; `masters` if their part is made already."""
    if masters is None:
        masters = tuple(durable_master(master) for master in state.masters.values())
    return DurableState(
        my_id=state.my_id,
        current_epoch=state.current_epoch,
        options=state.options,
        masters=masters,
    )


def durable_master(master: Master) -> DurableMaster:
    """One master's part of the record; of a promotion that is proven, what is to be announced."""
    address, config_epoch, replicas = master.address, master.config_epoch, tuple(master.replicas)
    failover = master.failover
    if failover.is_proven:
        assert failover.promoted is not None
        others = [replica for replica in replicas if replica != failover.promoted]
        address, config_epoch = failover.promoted, failover.epoch
        replicas = (*others, master.address)
    return DurableMaster(
        name=master.name,
        address=address,
        options=master.options,
        config_epoch=config_epoch,
        leader_epoch=master.vote.leader_epoch,
        replicas=replicas,
        sentinels=tuple((peer.run_id, peer.address) for peer in master.peers.values()),
        leaving=tuple((run_id, each.address) for run_id, each in master.leaving.items()),
        forgotten=tuple(master.forgotten),
    )


def initial_state(durable: DurableState) -> SentinelState:
    """The state a sentinel starts with from what it loaded (or was configured with).

    A first start passes a freshly drawn `my_id`; the machine saves it in its first step, before
    anything is spoken. Duplicate replicas are dropped, and so is one at the master's own address.
    """
    state = SentinelState(
        my_id=durable.my_id, options=durable.options, current_epoch=durable.current_epoch
    )
    for record in durable.masters:
        master = Master(
            name=record.name,
            options=record.options,
            node=new_node(record.name, record.address),
            config_epoch=record.config_epoch,
            vote=Vote(leader_epoch=record.leader_epoch),
        )
        for address in record.replicas:
            if address != record.address:
                master.replicas[address] = new_node(record.name, address)
        master.leaving = {
            run_id: Leaving(address, {UNKNOWN_ASKER}) for run_id, address in record.leaving
        }
        master.forgotten = dict.fromkeys(record.forgotten)
        for run_id, address in record.sentinels:
            if run_id != durable.my_id and not master.is_out(run_id):
                add_peer(state, master, run_id, address)
        state.masters[master.name] = master
        highest = max(master.config_epoch, master.vote.leader_epoch)
        state.current_epoch = max(state.current_epoch, highest)
    # What was loaded is on disk, even where the file held it in other words.
    state.saved_epoch = state.current_epoch
    return state
