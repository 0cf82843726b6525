"""What servers share: the models that they serve, how they drain, and their settings.

Used by distributions of their own, such as realtts-http. May import provider and what stands below it.
"""
