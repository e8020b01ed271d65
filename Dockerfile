# Builds beit-seg, and leaves an image with the program, the model that ships, and the libraries that it needs.
#   docker build -t beit-seg .
#   docker run --rm -v "$PWD:/photos" beit-seg predict . -o masks/
# With MPI and an ssh server, for scripts/cluster/train-mpijob.yaml:
#   docker build -t beit-seg:mpi --target mpi --build-arg TRAITS=OneDNN,TIFF,WebP,MPI .
FROM swift:6.3-bookworm AS build
ARG TRAITS=OneDNN,TIFF,WebP
WORKDIR /src
COPY . .
RUN case $TRAITS in *MPI*) scripts/setup --mpi ;; *) scripts/setup ;; esac \
    && swift build -c release --product beit-seg --static-swift-stdlib --traits "$TRAITS" \
    && install -D -s "$(swift build -c release --show-bin-path)/beit-seg" /out/bin/beit-seg \
    && install -D -m 644 models/beit-seg.h5 /out/share/beit-seg/models/beit-seg.h5

FROM debian:bookworm-slim AS run
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libopenblas0-pthread libdnnl2 libhdf5-103-1 libzip4 libpng16-16 libjpeg62-turbo libtiff6 libwebp7 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /usr/local

FROM run AS mpi
# The MPI operator writes the keys; its pods have no known hosts.
RUN apt-get update \
    && apt-get install -y --no-install-recommends openmpi-bin openssh-server openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /run/sshd \
    && printf 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' >> /etc/ssh/ssh_config \
    && sed -i 's/^#\?StrictModes .*/StrictModes no/' /etc/ssh/sshd_config

# The last stage is what is built where no target is named.
FROM run
WORKDIR /photos
ENTRYPOINT ["beit-seg"]
