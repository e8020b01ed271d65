# Builds beit-seg, and leaves an image with the program, the model that ships, and the libraries that it needs.
#   docker build -t beit-seg .
#   docker run --rm -v "$PWD:/photos" beit-seg predict . -o masks/
FROM swift:6.3-bookworm AS build
WORKDIR /src
COPY . .
RUN scripts/setup \
    && swift build -c release --product beit-seg --static-swift-stdlib \
    && install -D -s "$(swift build -c release --show-bin-path)/beit-seg" /out/bin/beit-seg \
    && install -D -m 644 models/beit-seg.h5 /out/share/beit-seg/models/beit-seg.h5

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libopenblas0-pthread libdnnl2 libhdf5-103-1 libzip4 libpng16-16 libjpeg62-turbo libtiff6 libwebp7 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /usr/local
WORKDIR /photos
ENTRYPOINT ["beit-seg"]
