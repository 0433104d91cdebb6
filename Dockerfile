# ipctorture in a container, as an ordinary user.
#
#   docker build -t ipctorture --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" .
#   docker run --rm ipctorture                       # a minute over all transports
#   docker run --rm --shm-size=1g --init ipctorture run 'shm_*' --time 10m
#   docker run --rm ipctorture doctor                # what this container lacks
#
# Bundles go with the container unless a folder takes them. It must be writable for the user `tester` (uid 1000):
#
#   mkdir -p out && chmod 777 out
#   docker run --rm -v "$PWD/out:/home/tester/ipctorture-out" ipctorture
FROM debian:12-slim AS build
WORKDIR /src
COPY ci/install-deps ci/install-deps
RUN ci/install-deps run
COPY . .
# Bundles name it; the image has no .git to ask.
ARG COMMIT=
RUN cmake --preset release -DIPCTORTURE_COMMIT="$COMMIT" && cmake --build --preset release --target ipctorture

FROM debian:12-slim
COPY ci/install-deps /usr/local/libexec/install-deps
RUN /usr/local/libexec/install-deps use && rm -rf /var/lib/apt/lists/*
# The program, and beside it the explorer to which it hands over, with its transports.
COPY --from=build /src/build/release/ipctorture /src/build/release/ipctorture-explore \
     /src/build/release/ipctorture-explore-sut.so /usr/local/libexec/ipctorture/
RUN ln -s ../libexec/ipctorture/ipctorture /usr/local/bin/ipctorture
RUN useradd --create-home tester
USER tester
WORKDIR /home/tester
ENTRYPOINT ["ipctorture"]
CMD ["run"]
