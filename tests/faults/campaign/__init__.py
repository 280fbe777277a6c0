"""Real processes, killed, frozen and starved by a seed, and a judge afterwards.

plan       what goes wrong, when and to whom
stage      the servers and processes that it goes wrong with
workload   the platform: what it wishes, pays and cancels
faults     how each thing goes wrong, and is right again
meters     how soon work flows again, what a kill strands and when that is settled
judge      the platform's wishes, Xero's ledger and what was told, field by field
campaign   all of them together, from the first message to the verdict
"""
