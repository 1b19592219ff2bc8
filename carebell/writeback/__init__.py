"""From a row of `writebacks` to the EHR's answer.

`sender` claims and records; `pacing` says when to try again; `lines` says what a channel is. `targets` is HL7 v2, `web_targets` the
EHR's web services, and `channels` lists what a configuration names. A new channel is a kind of target, and a line in `channels`.
"""
