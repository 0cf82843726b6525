from realtts.testing.conformance import (
    OptimizedConformance as OptimizedConformance,
)
from realtts.testing.conformance import (
    ProviderConformance as ProviderConformance,
)
from realtts.testing.fake import (
    FakeOptions as FakeOptions,
)
from realtts.testing.fake import (
    FakeProvider as FakeProvider,
)
from realtts.testing.fake import (
    FastFakeProvider as FastFakeProvider,
)
from realtts.testing.fake import (
    fake_spec as fake_spec,
)
from realtts.testing.faults import (
    InjectedFault as InjectedFault,
)
from realtts.testing.faults import (
    faulty as faulty,
)
from realtts.testing.hub import (
    FakeHub as FakeHub,
)
from realtts.testing.sounds import (
    voice_like as voice_like,
)
