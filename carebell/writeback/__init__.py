"""From a row of `writebacks` to the EHR's answer.

`sender` claims and records; `targets` has one channel's settings and makes the bytes; `pacing` says when to try again. A new
channel is a kind of target: something that has `name`, `limit`, `strict`, `lease`, and can `render` and `deliver`.
"""
