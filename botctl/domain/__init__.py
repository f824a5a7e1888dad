"""The rules of trading: plain values in, plain values out, no clock, no disk, no network."""
