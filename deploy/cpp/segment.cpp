// Segments one image with an exported model, in C++ and without Python: a start for a program of your own.
//
//   segment MODEL_FOLDER IMAGE.ppm OUT [--threads N] [--provider cpu|cuda|tensorrt]
//
// MODEL_FOLDER holds model.onnx and model.json, as `edgekd export` writes them. IMAGE.ppm is of the network's size, which the program names
// where it is not: ffmpeg -i photo.jpg -vf scale=WIDTH:HEIGHT:flags=area image.ppm. OUT.pgm gets the class map, OUT.ppm the classes' colours.
// Printed are the share of each class and the milliseconds of a run, the median of ten.
//
// To compile: the headers of ONNX Runtime 1.21 or later (libonnxruntime-dev, or its release archive) and nlohmann-json3-dev.
//
//   g++ -std=c++17 -O2 segment.cpp -o segment -I/usr/include/onnxruntime -lonnxruntime
//
// Run by the tests on a CPU. The providers cuda and tensorrt were not run: no GPU was at hand. They need an ONNX Runtime that was built with
// them, and are never replaced by the CPU without a word.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int kSchemaVersion = 1;
constexpr int kRuns = 10;

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Bytes of height x width x channels.
struct Picture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> bytes;
};

// What model.json says of the model.
struct Model {
  int64_t height, width;
  bool scores;  // the output is float 1 x C x H x W instead of uint8 1 x H x W
  std::vector<std::string> names;
  std::vector<std::vector<int>> palette;
};

Model read_model(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("Can't read " + file + "; give the folder of an exported model.");
  try {
    const auto document = nlohmann::json::parse(stream);
    if (document.at("schema_version") != kSchemaVersion)
      throw std::runtime_error(file + " is not a sidecar of schema 1; run `edgekd export` again.");
    const auto& classes = document.at("classes");
    Model model{document.at("size").at(0), document.at("size").at(1), document.at("output") == "logits", classes.at("names"),
                classes.at("palette")};
    const auto wrong = [](const std::vector<int>& colour) { return colour.size() != 3; };
    if (model.height < 1 || model.width < 1 || model.names.size() != model.palette.size() ||
        std::any_of(model.palette.begin(), model.palette.end(), wrong))
      throw std::runtime_error(file + " is incomplete; run `edgekd export` again.");
    return model;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(file + " is incomplete (" + error.what() + "); run `edgekd export` again.");
  }
}

// The next number of a PPM's header, past blanks and comments.
int64_t header_number(std::istream& stream) {
  while ((stream >> std::ws) && stream.peek() == '#') stream.ignore(1 << 20, '\n');
  int64_t number = 0;
  stream >> number;
  return number;
}

Picture read_ppm(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("Can't read " + file + ".");
  std::string kind(2, ' ');
  stream.read(kind.data(), 2);
  Picture picture;
  picture.width = header_number(stream), picture.height = header_number(stream), picture.channels = 3;
  const bool header = kind == "P6" && header_number(stream) == 255 && stream.get() != EOF;
  if (!header || picture.width < 1 || picture.height < 1 || picture.width > 1 << 15 || picture.height > 1 << 15)
    throw std::runtime_error(file + " is no binary PPM of 8 bits: ffmpeg -i " + file + " image.ppm makes one.");
  picture.bytes.resize(picture.height * picture.width * picture.channels);
  stream.read(reinterpret_cast<char*>(picture.bytes.data()), picture.bytes.size());
  if (!stream) throw std::runtime_error(file + " is cut short; copy it again.");
  return picture;
}

void write_picture(const std::string& file, const Picture& picture) {
  std::ofstream stream(file, std::ios::binary);
  stream << (picture.channels == 3 ? "P6\n" : "P5\n") << picture.width << ' ' << picture.height << "\n255\n";
  stream.write(reinterpret_cast<const char*>(picture.bytes.data()), picture.bytes.size());
  if (!stream.flush()) throw std::runtime_error("Can't write " + file + "; free some space, or choose another folder.");
}

// The class of each pixel, whichever of the two outputs the model has.
Picture class_map(const Model& model, const Ort::Value& output) {
  Picture map{model.height, model.width, 1, std::vector<uint8_t>(model.height * model.width)};
  const size_t pixels = map.bytes.size(), classes = model.names.size();
  if (output.GetTensorTypeAndShapeInfo().GetElementCount() != pixels * (model.scores ? classes : 1))
    throw std::runtime_error("model.onnx gives another output than model.json says; run `edgekd export` again.");
  if (!model.scores) {
    std::copy_n(output.GetTensorData<uint8_t>(), pixels, map.bytes.begin());
    return map;
  }
  const float* scores = output.GetTensorData<float>();
  for (size_t pixel = 0; pixel < pixels; ++pixel)
    for (size_t one = 1; one < classes; ++one)
      if (scores[one * pixels + pixel] > scores[map.bytes[pixel] * pixels + pixel]) map.bytes[pixel] = static_cast<uint8_t>(one);
  return map;
}

Picture paint(const Model& model, const Picture& map) {
  Picture painted{map.height, map.width, 3, {}};
  for (const uint8_t one : map.bytes)
    for (int channel = 0; channel < 3; ++channel)
      painted.bytes.push_back(one < model.palette.size() ? static_cast<uint8_t>(model.palette[one][channel]) : 0);
  return painted;
}

Ort::Session open_session(const Ort::Env& env, const std::string& file, int threads, const std::string& provider) {
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(threads);
  if (provider == "cuda") {
    options.AppendExecutionProvider_CUDA(OrtCUDAProviderOptions{});
  } else if (provider == "tensorrt") {
    options.AppendExecutionProvider_TensorRT(OrtTensorRTProviderOptions{});
  } else if (provider != "cpu") {
    throw UsageError("--provider is cpu, cuda or tensorrt, not " + provider + ".");
  }
  return Ort::Session(env, file.c_str(), options);
}

int run(std::vector<std::string> words) {
  int threads = 0;
  std::string provider = "cpu";
  for (size_t at = 0; at + 1 < words.size();) {
    if (words[at] != "--threads" && words[at] != "--provider") {
      ++at;
      continue;
    }
    if (words[at] == "--provider")
      provider = words[at + 1];
    else
      threads = std::clamp(std::atoi(words[at + 1].c_str()), 0, 1024);
    words.erase(words.begin() + at, words.begin() + at + 2);
  }
  if (words.size() != 3) throw UsageError("segment MODEL_FOLDER IMAGE.ppm OUT [--threads N] [--provider cpu|cuda|tensorrt]");

  const Model model = read_model(words[0] + "/model.json");
  Picture image = read_ppm(words[1]);
  if (image.height != model.height || image.width != model.width) {
    const auto size = std::to_string(model.width) + ":" + std::to_string(model.height);
    throw UsageError(words[1] + " is not of the network's size: ffmpeg -i " + words[1] + " -vf scale=" + size + ":flags=area image.ppm");
  }

  const Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "segment");
  Ort::Session session = open_session(env, words[0] + "/model.onnx", threads, provider);
  const Ort::AllocatorWithDefaultOptions allocator;
  const auto entry = session.GetInputNameAllocated(0, allocator), result = session.GetOutputNameAllocated(0, allocator);
  const char* entries[] = {entry.get()};
  const char* results[] = {result.get()};
  const int64_t shape[] = {1, model.height, model.width, 3};
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const Ort::Value frame = Ort::Value::CreateTensor<uint8_t>(memory, image.bytes.data(), image.bytes.size(), shape, 4);

  std::vector<double> milliseconds;
  std::vector<Ort::Value> outputs;
  for (int turn = 0; turn <= kRuns; ++turn) {
    const auto begin = std::chrono::steady_clock::now();
    outputs = session.Run(Ort::RunOptions{}, entries, &frame, 1, results, 1);
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
    if (turn) milliseconds.push_back(taken.count());  // the first sets up what the others use
  }
  const Picture map = class_map(model, outputs[0]);
  const bool coloured = words[2].size() > 4 && words[2].substr(words[2].size() - 4) == ".ppm";
  write_picture(words[2], coloured ? paint(model, map) : map);

  for (size_t one = 0; one < model.names.size(); ++one) {
    const auto count = std::count(map.bytes.begin(), map.bytes.end(), static_cast<uint8_t>(one));
    if (count) std::printf("%6.2f %%  %s\n", 100.0 * count / map.bytes.size(), model.names[one].c_str());
  }
  std::nth_element(milliseconds.begin(), milliseconds.begin() + kRuns / 2, milliseconds.end());
  std::printf("%.2f ms per image\n", milliseconds[kRuns / 2]);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // ONNX Runtime asks for a host of Microsoft's else
  try {
    return run(std::vector<std::string>(words + 1, words + count));
  } catch (const UsageError& error) {
    std::cerr << "Error: " << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "Error: " << error.what() << '\n';
    return 1;
  }
}
