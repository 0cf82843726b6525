"""The program that runs inside an isolated environment and serves one provider.

May import wire and what stands below it, and no isolation.
"""
