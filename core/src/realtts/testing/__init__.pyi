from realtts.testing.builders import (
    make_arrivals as make_arrivals,
    make_context as make_context,
    make_request as make_request,
)
from realtts.testing.conformance import (
    ContinuousConformance as ContinuousConformance,
    OptimizedConformance as OptimizedConformance,
    ProviderConformance as ProviderConformance,
)
from realtts.testing.fake import (
    ContinuousFakeProvider as ContinuousFakeProvider,
    FakeOptions as FakeOptions,
    FakeProvider as FakeProvider,
    FastFakeProvider as FastFakeProvider,
    fake_spec as fake_spec,
)
from realtts.testing.faults import (
    InjectedFault as InjectedFault,
    faulty as faulty,
)
from realtts.testing.hub import (
    FakeHub as FakeHub,
)
from realtts.testing.load import (
    LoadReport as LoadReport,
    mixed_load as mixed_load,
)
from realtts.testing.sounds import (
    voice_like as voice_like,
)
